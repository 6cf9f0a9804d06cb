"""The JSON API: the only room that makes JSON."""
