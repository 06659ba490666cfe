"""The one exception a user can cause."""

import errno
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A mistake the user can fix; its message says how, in one sentence."""


STOPPED_EARLY = "Stopped before the first update: nothing new was saved, and the same command begins again."


@contextmanager
def exit_on_user_error() -> Generator[None]:
    """Report a UserError, or a file that cannot be read or written, as a one-line message and exit with status 2."""
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        if error.errno not in FULL and error.filename is None:
            raise
        place = f"{error.filename} cannot be used" if error.filename else "A file cannot be written"
        print(f"{place} ({error.strerror}): choose another place, or make room there.", file=sys.stderr)
        raise SystemExit(2) from None


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def raise_if_disk_full(folder: Path, *also: type[Exception]) -> Generator[None]:
    """Turn a full disk, while writing something that can be resumed, into a UserError.

    Args:
        also: exceptions that libraries raise instead.
    """
    try:
        yield
    except (OSError, *also) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"{folder} cannot be written ({reason}): free some space, then run the same command again; "
            "it goes on from what was saved."
        ) from error
