"""Charts over devices: which series there are, and what the address of a chart says."""
