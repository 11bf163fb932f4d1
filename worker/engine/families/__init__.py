"""Families of checkpoints: what each has of its own. A new one is a module here, and its line in the registry."""
