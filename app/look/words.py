"""Small words in messages."""

from collections.abc import Sequence


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def list_of(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plain(text: str) -> str:
    """What somebody else may have written, for Markdown and warnings: no picture or link in it is one.

    A picture would have every reader's browser ask its host.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")
