"""People: users, roles and the one permission check."""
