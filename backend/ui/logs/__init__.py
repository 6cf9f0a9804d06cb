"""What the pages of log lines are made of."""
