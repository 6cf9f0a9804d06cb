"""Where this room's addresses lie."""

# Leshan's demo UI
PREFIX = "/debug/leshan/"
TRACE_PATH = "/debug/trace/"
