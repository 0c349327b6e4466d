"""The near cache: values in this process's memory."""
