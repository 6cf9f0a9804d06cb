"""Django app configuration."""

from django.apps import AppConfig


class PkiConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.pki"
    label = "pki"
