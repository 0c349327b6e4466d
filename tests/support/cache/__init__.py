"""Caches under test: servers of a Redis Cluster, and a model to compare with."""
