"""What `pip install .` gives: everything that runs, without a checkout beside it."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from study.store.store import Store
from study.store.studies import find_study
from tests.study.voting import rater, vote_all

ROOT = Path(__file__).parents[1]


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(folder: str) -> set[str]:
    """Files of a folder that belong to the repository, relative to it."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", folder, cwd=ROOT).splitlines()
    return {str(Path(file).relative_to(folder)) for file in listed if (ROOT / file).is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what is built from; assets are linked, since they are large."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.md"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for part in ("app", "e2ed2", "study"):
        for file in tracked(part):
            (folder / part / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / part / file).write_bytes((ROOT / part / file).read_bytes())
    (folder / "assets").symlink_to(ROOT / "assets")
    return folder


def test_an_installation_has_every_file(source, tmp_path):
    """Templates, styles, scripts and migrations too, and the bundled files inside the package."""
    command = "from setuptools import setup; import runpy; runpy.run_path('setup.py')"
    run(sys.executable, "-c", command, "-q", "build_py", "--build-lib", tmp_path, cwd=source)
    for part in ("app", "e2ed2", "study"):
        assert tracked(part) <= {str(file.relative_to(tmp_path / part)) for file in (tmp_path / part).rglob("*")}
    bundled = {str(file.relative_to(tmp_path)) for file in (tmp_path / "e2ed2" / "bundled").rglob("*")}
    assert {f"e2ed2/bundled/{file}" for file in tracked("assets")} <= bundled


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory) -> Path:
    """The programs' folder of an environment with this project installed; what it needs is borrowed from ours."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", source, cwd=folder)
    return python.parent


@pytest.mark.slow
def test_an_installation_samples_serves_and_reports_from_an_empty_folder(installed, tmp_path):
    data = {"E2ED2_DATA": str(tmp_path / "data")}
    work = tmp_path / "empty"
    work.mkdir()
    for arm, model in (("ours", "l2-lpips"), ("theirs", "l2")):
        options = ("--prompt", "red apple", "cat face", "--model", model, "--out", arm)
        run(installed / "e2ed2", "sample", *options, cwd=work, **data)
    assert len(list(work.rglob("*.png"))) == 4
    study = installed / "e2ed2-study"
    unchecked = [f"--checks.{kind}=0" for kind in ("gold", "identical", "repeat")]  # these raters do not look
    run(study, "create", "--name", "first", "--arms", "ours=ours", "theirs=theirs", *unchecked, cwd=work, **data)
    store = Store.open(tmp_path / "data" / "studies")
    for i in range(3):
        vote_all(store, rater(store, find_study(store.database, "first"), f"rater {i}"))
    run(study, "report", "first", "--out", "report", cwd=work, **data)
    assert "<html" in (work / "report" / "report.html").read_text()
    page = (
        "from fastapi.testclient import TestClient; from study.store.store import Store\n"
        "from study.web import create_app\n"
        "site = TestClient(create_app(Store.open())); page = site.get('/')\n"
        "assert '<!doctype html>' in page.text; assert site.get('/static/page.js').status_code == 200"
    )
    run(installed / "python", "-c", page, cwd=work, **data)
    pages = "from app.settings import settings_or_exit as s; s()\nfrom app.server import assemble; assemble(s())"
    run(installed / "python", "-c", pages, cwd=work, **data)
    assert not {file.name for file in work.iterdir()} - {"ours", "theirs", "report"}
