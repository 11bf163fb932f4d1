"""Commands that have pictures made."""
