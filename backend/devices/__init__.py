"""Devices: registration, status, current values, observations, and the Leshan servers they come through."""
