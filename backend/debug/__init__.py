"""For administrators: Leshan's demo UI and the CoAP trace, streamed straight from Leshan."""
