"""``switchyard.cached``: results of tasks by key, and calls that share a run."""
