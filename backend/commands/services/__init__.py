"""Writes to commands."""
