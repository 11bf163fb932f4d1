"""What `producer` has a process of its own do on the device, so that itself needs no torch."""
