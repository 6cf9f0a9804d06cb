"""Django app configuration."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.telemetry"
    label = "telemetry"
