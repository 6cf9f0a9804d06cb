"""What can be wrong with a rule, a channel or an alert."""


class AlertError(ValueError):
    """It cannot be so; the message is one sentence that says what is wrong and what to do."""
