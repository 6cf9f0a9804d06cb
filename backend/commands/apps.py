"""Django app configuration."""

from django.apps import AppConfig


class CommandsConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.commands"
    label = "commands"
