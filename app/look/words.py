"""Helpers for wording messages."""

from collections.abc import Sequence


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def list_of(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def plain(text: str) -> str:
    """Text from other people, escaped for Markdown and warnings: pictures and links in it are not rendered.

    A picture would make every reader's browser contact its host.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")
