"""Management commands of logs."""
