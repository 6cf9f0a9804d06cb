"""Management commands of sync."""
