"""What we use of other libraries that they do not promise: one module for each of them, in every version."""
