"""Django app configuration."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.alerts"
    label = "alerts"
