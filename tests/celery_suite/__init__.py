"""Celery's own integration tests, in plain Celery and with Switchyard, test by test: see ``__main__``."""
