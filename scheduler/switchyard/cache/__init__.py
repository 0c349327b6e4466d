"""The sharded, replicated cache behind ``switchyard.Cache``."""
