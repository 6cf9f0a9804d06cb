"""What the tests share: waiting for conditions, starting and ending real processes."""
