"""From a task to ranked nodes."""
