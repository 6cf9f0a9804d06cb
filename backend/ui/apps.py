"""Django app configuration."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.ui"
    label = "ui"
