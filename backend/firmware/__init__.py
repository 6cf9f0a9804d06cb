"""Firmware: images, updates of devices with their state machine, campaigns (LwM2M Core 1.1, appendix E.6)."""
