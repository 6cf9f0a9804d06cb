"""LwM2M vocabulary in pure Python: paths, node values, object models."""
