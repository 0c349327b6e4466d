"""Switchyard side by side with plain Celery: the same tasks, pool, settings and server, in the same run."""
