"""Management commands of firmware."""
