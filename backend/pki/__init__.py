"""The certificate authority and device credentials."""
