"""One module a version, oldest first by `down_revision`."""
