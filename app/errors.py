"""Errors between a page and the engine, besides UserError."""


class ForgedError(Exception):
    """A value that no page sends; the message says what is allowed."""


class StoppedError(Exception):
    """The visitor pressed Stop."""
