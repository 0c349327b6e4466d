"""What happened, written apart from the broker, and what it means."""
