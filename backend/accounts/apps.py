"""Django app configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registers the app under its short label."""

    name = "backend.accounts"
    label = "accounts"
