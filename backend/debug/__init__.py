"""For administrators: the Leshan demo UI and the CoAP trace, streamed straight from Leshan."""
