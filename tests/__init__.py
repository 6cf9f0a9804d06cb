"""The tests: unit, integration (real processes), browser."""
