"""The node's side of Switchyard: lease, load, command line."""
