"""What the server answers, as values, and what of it cannot be read."""
