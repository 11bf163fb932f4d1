"""One segment of a training: from its claim over its steps to its end in the record."""
