"""Commands that say how far it is."""
