"""Setting up for the tests waits where another program is using the package manager."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "apt_install.sh"
# Stands in for apt-get, which no test may run: it writes down its arguments, and fails as often as a file says.
FAKE = """#!/bin/sh
echo "$@" >> "$FAKE_FOLDER/calls"
case "$*" in
    *update*)
        left="$(cat "$FAKE_FOLDER/failures")"
        if [ "$left" -gt 0 ]; then
            echo $((left - 1)) > "$FAKE_FOLDER/failures"
            echo "E: $FAKE_REASON" >&2
            exit 100
        fi ;;
    *) case "$*" in *DPkg::Lock::Timeout=*) ;; *) echo "E: Could not get lock" >&2; exit 100 ;; esac ;;
esac
"""
LOCKED = "Could not get lock /var/lib/apt/lists/lock. It is held by process 42 (apt-get)"


@pytest.fixture
def install(tmp_path):
    for name, text in (("apt-get", FAKE), ("sudo", '#!/bin/sh\nshift\nexec "$@"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def install(failures: int, reason: str = LOCKED, limit: int = 600) -> tuple[int, list[str]]:
        (tmp_path / "failures").write_text(str(failures))
        environment = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "FAKE_FOLDER": str(tmp_path),
            "FAKE_REASON": reason,
            "APT_LOCK_PAUSE": "0",
            "APT_LOCK_TIMEOUT": str(limit),
        }
        done = subprocess.run(["sh", SCRIPT, "chromium"], env=environment, capture_output=True, text=True)
        return done.returncode, (tmp_path / "calls").read_text().splitlines()

    return install


def test_a_lock_is_waited_for(install):
    code, calls = install(failures=3)
    assert code == 0
    assert ["update" in call for call in calls] == [True] * 4 + [False]
    assert calls[-1].endswith("install -y --no-install-recommends chromium")


def test_dpkg_is_told_how_long_to_wait(install):
    assert all("DPkg::Lock::Timeout=600" in call for call in install(failures=0)[1])


def test_a_source_that_cannot_be_reached_is_not_waited_for(install):
    code, calls = install(failures=9, reason="Failed to fetch")
    assert (code, len(calls)) == (0, 2)


def test_waiting_ends(install):
    code, calls = install(failures=9, limit=0)
    assert (code, len(calls)) == (0, 2)
