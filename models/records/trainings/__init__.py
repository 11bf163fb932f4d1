"""Trainings in the record: asked for, published, claimed segment by segment, and ended."""
