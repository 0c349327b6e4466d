"""The reference application: it indexes Python source, one task a file."""
