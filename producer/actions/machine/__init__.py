"""What a machine has and lacks: checkpoints, tables, what keeps it from working."""
