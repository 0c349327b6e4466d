"""Celery's adapters, with real workers."""
