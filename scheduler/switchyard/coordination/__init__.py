"""Locks, exclusive tasks and elections: one server decides, or a majority of several votes."""
