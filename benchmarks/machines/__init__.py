"""What the measurements stand on: an application, a server, processes, a slow network."""
