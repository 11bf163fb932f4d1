"""Making pictures with a checkpoint that is loaded."""
