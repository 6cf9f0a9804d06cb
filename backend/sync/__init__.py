"""The only code that drives Leshan: client, event decoder, ingest and reconcile."""
