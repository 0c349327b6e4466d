"""Celery: its application, its tasks, and a worker that runs."""
