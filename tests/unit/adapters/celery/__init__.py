"""Celery's adapters, without a server."""
