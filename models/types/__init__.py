"""What is spoken of: jobs, identities, states, causes, measurements, messages, errors. Knows nobody."""
