"""What runs on this machine: server and worker of `producer run`, services, and a look at the device."""
