"""What the set-up needs of a machine: `python tools/before_setup.py` exits with a sentence where that is not there.

Any Python 3 must be able to read this file.
"""

import os
import shutil
import sys
import tempfile

# GB: of packages in .venv, and in the temporary folder while pip installs them. CUDA comes with torch on Linux alone.
INSTALLED, DOWNLOADED = (8, 3) if sys.platform.startswith("linux") else (4, 1)


def missing(version, room, room_for_downloads, one_disk):
    """Say what is missing, or nothing: versions as tuples, room in GB."""
    if version < (3, 11):
        return "Python 3.11 or newer is needed: try make PYTHON=python3.11"
    needed = INSTALLED + DOWNLOADED * one_disk
    if room < needed:
        return f"The set-up needs {needed} GB of the disk here and {room:.1f} are free: make room, then run it again."
    if room_for_downloads < DOWNLOADED:
        there = f"The set-up needs {DOWNLOADED} GB in {tempfile.gettempdir()} and {room_for_downloads:.1f} are free"
        return f"{there}: make room, or set TMPDIR to another folder."
    return None


if __name__ == "__main__":
    here, temporary = os.getcwd(), tempfile.gettempdir()
    free = [shutil.disk_usage(folder).free / 1e9 for folder in (here, temporary)]
    sys.exit(missing(sys.version_info[:2], free[0], free[1], os.stat(here).st_dev == os.stat(temporary).st_dev))
