"""What can be said to the person who typed make, in one line."""


class LocalError(Exception):
    """The run cannot go on; the message says what to do about it."""
