"""The one exception a user can cause."""


class UserError(Exception):
    """A mistake that the user can mend; its message is one sentence that says how."""
