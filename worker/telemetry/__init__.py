"""What a worker tells other programs of itself, while it runs."""
