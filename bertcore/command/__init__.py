"""The command `bertcore`: may import everything, and nothing imports it."""
