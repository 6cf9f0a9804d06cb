"""Log lines of devices: kept, searched, shown."""
