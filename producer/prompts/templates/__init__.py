"""Templates, and the wildcards that they take values from."""
