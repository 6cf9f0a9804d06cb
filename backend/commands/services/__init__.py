"""Writes to commands by people: asking and cancelling. What `sync` does to them is in `transitions`."""

from backend.commands.services.cancel import batch_cancel, command_cancel
from backend.commands.services.create import command_create, commands_create
from backend.commands.services.errors import CommandError

__all__ = [
    "CommandError",
    "batch_cancel",
    "command_cancel",
    "command_create",
    "commands_create",
]
