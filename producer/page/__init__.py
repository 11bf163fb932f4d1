"""The page of a report: its figures, plots over time, and a gallery of the pictures."""
