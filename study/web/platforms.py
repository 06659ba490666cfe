"""What the links of crowd platforms say of a person: all of it is typed by strangers, and nothing else is let in."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from study.errors import StudyError
from study.store.raters import Person

IDS = {  # by channel: the parameter that names the person, and what such a name looks like
    "prolific": ("PROLIFIC_PID", re.compile(r"[0-9a-f]{24}", re.IGNORECASE)),
    "mturk": ("workerId", re.compile(r"A[0-9A-Z]{5,24}")),
}
KEPT = ("STUDY_ID", "SESSION_ID", "assignmentId", "hitId", "turkSubmitTo")  # for paying and returning
VALUE = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
NO_ASSIGNMENT = "ASSIGNMENT_ID_NOT_AVAILABLE"  # Mechanical Turk shows a preview so


def person_in(query: Mapping[str, str]) -> Person | None:
    """Whom the link names; None where it names nobody. Raises StudyError where no platform gives such a name."""
    for channel, (parameter, _) in IDS.items():
        if parameter in query:
            return checked(channel, query[parameter])
    return None


def checked(channel: str, id: str) -> Person:
    if channel not in IDS or not IDS[channel][1].fullmatch(id):
        raise StudyError("This link does not say who you are: open the study from your platform's page again.")
    return Person(channel, id)


def entry_from_link(query: Mapping[str, str]) -> str:
    """What is noted of a link, as a query string."""
    return urlencode({name: query[name] for name in KEPT if VALUE.fullmatch(query.get(name, ""))})


def entry_from_form(entry: str) -> str:
    """The same, of what the form sent back."""
    return entry_from_link(dict(parse_qsl(entry[:2000])))
