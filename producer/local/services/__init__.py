"""What keeps a worker running on this machine: a module a service manager, behind `manager.Manager`."""
