"""Trainings: what is asked of the making of a LoRA."""
