"""Chaos for periodic tasks: whoever leads is killed and paused."""
