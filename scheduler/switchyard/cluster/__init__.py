"""The cluster in Redis. It knows neither Celery nor kombu."""
