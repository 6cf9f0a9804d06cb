"""The web pages: the only room that makes HTML."""
