"""What plays docker (and podman) on the simulated nodes: real processes, no isolation."""
