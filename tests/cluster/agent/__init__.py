"""Real nodes: leases, who is lost, and what becomes of their tasks."""
