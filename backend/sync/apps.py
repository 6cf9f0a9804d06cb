"""Django app configuration."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.sync"
    label = "sync"
