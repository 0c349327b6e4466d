"""A running Celery worker: when it runs and ends, what becomes of a task."""
