"""Widgets that more than one step shows."""
