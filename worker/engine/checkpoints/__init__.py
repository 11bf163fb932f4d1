"""Checkpoints on this disk: where they lie, and what their files hold."""
