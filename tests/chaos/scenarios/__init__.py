"""Runs with a story of their own, where the faults are not drawn."""
