"""kombu's Redis transport: its private and version-bound names under public ones."""
