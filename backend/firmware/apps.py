"""Django app configuration."""

from django.apps import AppConfig


class FirmwareConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.firmware"
    label = "firmware"
