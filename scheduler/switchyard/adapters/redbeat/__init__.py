"""RedBeat: its storage, its JSON, and what tools wrap of its scheduler."""
