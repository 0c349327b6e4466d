"""What a run stands on: processes, servers, networks that can fall silent."""
