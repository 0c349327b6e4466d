"""Periodic tasks with hot standby: RedBeat's storage and schedule types, led by election.

Entries live in Redis, where RedBeat keeps them. Of all the processes one leads and sends. Each run of an
entry, a **tick**, has its **instant**, the time at which it is due by its schedule, and an id made of both.
Needs the extra ``beat``; nothing else of this package imports it.
"""
