"""Which pictures are accepted: verdicts, decisions, and the jobs that stand in for those that are not."""
