"""Real nodes: messages, connections and servers."""
