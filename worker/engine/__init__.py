"""What drives the device: loading, generating, measuring. Knows nothing of rows and queues."""
