"""One attempt: from a claim over the steps to its end in the record."""
