"""Real nodes, seeded faults, an independent ledger, and a verdict. ``python -m tests.chaos --help``."""
