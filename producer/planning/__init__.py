"""What requests and flags ask for, as the jobs of one batch."""
