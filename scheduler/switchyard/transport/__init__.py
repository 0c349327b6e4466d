"""kombu's Redis transport with place, claim and settle in it."""
