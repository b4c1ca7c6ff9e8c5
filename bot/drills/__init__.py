"""What the echo peer does wrong on purpose, for people who test how their client takes it."""
