"""What can be wrong with a command."""


class CommandError(ValueError):
    """The command cannot be asked, or not be cancelled; the message says what is wrong and what to do."""
