"""Breaks holders of locks and leaders on purpose: ``python -m tests.chaos.locks``."""
