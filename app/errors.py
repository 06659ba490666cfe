"""What can go wrong between a page and the engine, besides a UserError."""


class ForgedError(Exception):
    """A value that the page cannot send; the message says what is possible."""


class StoppedError(Exception):
    """The visitor pressed Stop."""
