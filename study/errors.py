"""The one exception of the study."""


class StudyError(Exception):
    """A mistake that whoever reads the message can fix; it says how, in one sentence or a list of them.

    Args:
        status: of the page that shows it: 400 for what was given, 403 for who may not come in, 409 for a vote that
            cannot be, 503 where it is nobody's mistake but the database's.
    """

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status
