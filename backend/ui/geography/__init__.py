"""What the map of devices is made of."""
