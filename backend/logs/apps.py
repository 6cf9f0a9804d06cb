"""Django app configuration."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.logs"
    label = "logs"
