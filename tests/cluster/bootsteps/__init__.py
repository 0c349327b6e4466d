"""Real nodes: how they start and stop."""
