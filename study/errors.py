"""The one exception a study runner can cause."""


class StudyError(Exception):
    """A mistake that the runner can mend; its message is one sentence that says how, or a list of such sentences."""
