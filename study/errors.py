"""The one exception an organiser can cause."""


class StudyError(Exception):
    """A mistake the organiser can fix; its message says how, in one sentence or a list of them."""
