"""The checks: what is asked of each node and device, and what the answers mean."""
