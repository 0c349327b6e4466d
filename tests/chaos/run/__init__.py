"""Faults drawn by a seed, and how they are done."""
