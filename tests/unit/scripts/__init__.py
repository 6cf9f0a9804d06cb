"""The set-up and the supervisor behind scripts/run."""
