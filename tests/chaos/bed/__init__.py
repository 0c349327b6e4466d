"""What faults are done to: an application, its nodes and producers, and what holds them together."""
