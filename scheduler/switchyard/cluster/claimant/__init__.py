"""A node's side of claim and settle."""
