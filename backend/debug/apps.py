"""Django app configuration."""

from django.apps import AppConfig


class DebugConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.debug"
    label = "debug"
