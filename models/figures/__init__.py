"""What is read of the record for people: throughput, estimates, progress, timeline, coverage."""
