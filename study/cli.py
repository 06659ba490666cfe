"""`python -m study COMMAND ...`: the commands are at the end of this file."""

import sys
from collections.abc import Callable

from study.commands import analysing, making, rehearsing, running
from study.errors import StudyError


def main() -> None:
    """Run the command; a mistake is reported in plain sentences, with exit status 2."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: python -m study {{{','.join(COMMANDS)}}} ...   (each with --help)", file=sys.stderr)
        raise SystemExit(0 if name in ("-h", "--help") else 2)
    try:
        COMMANDS[name](sys.argv[2:])
    except StudyError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:  # a full disk, a folder without write permission
        where = f"{error.filename}: " if error.filename else ""
        print(f"{where}{error.strerror or error}. Fix this, then run the same command again.", file=sys.stderr)
        raise SystemExit(2) from None


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "create": making.create_command,
    "rehearse": rehearsing.rehearse_command,
    "certify": rehearsing.certify_command,
    "list": making.list_command,
    "links": running.links_command,
    "serve": running.serve_command,
    "progress": running.progress_command,
    "people": running.people_command,
    "release": running.release_command,
    "drop": running.drop_command,
    "amend": making.amend_command,
    "adjust": making.adjust_command,
    "close": running.close_command,
    "export": analysing.export_command,
    "verify": analysing.verify_command,
    "report": analysing.report_command,
    "methods": analysing.methods_command,
    "metrics": analysing.metrics_command,
    "simulate": analysing.simulate_command,
}
