"""Django app configuration."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.devices"
    label = "devices"
