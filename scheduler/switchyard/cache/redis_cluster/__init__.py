"""The cache on a Redis Cluster, which shards and replicates by itself."""
