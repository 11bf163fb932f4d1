"""What earlier pictures were made with, read out of their files."""
