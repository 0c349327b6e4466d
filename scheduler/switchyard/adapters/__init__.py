"""What we use of other libraries that they do not promise: a module or a room for each, in every version."""
