"""The sharded, replicated cache behind ``scheduler.Cache``."""
