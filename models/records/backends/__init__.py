"""The databases that the record may lie in, and their schema from version to version."""
