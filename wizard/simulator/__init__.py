"""Nodes that behave like the real ones, on loopback."""
