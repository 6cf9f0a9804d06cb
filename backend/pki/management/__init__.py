"""Commands of the certificate authority."""
