"""Checks of one picture, a module each."""
