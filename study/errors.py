"""The one exception that a study's runner can cause."""


class StudyError(Exception):
    """A mistake that the runner can mend; its message says how."""
