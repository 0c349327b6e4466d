"""The cache on a ring of servers, each key on several of them."""
