"""The rules that keep the parts apart."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = {"PIL": "pillow", "sqlalchemy": "SQLAlchemy"}


def imports(folder: str) -> set[str]:
    """Top-level names that the Python files of a folder import."""
    found = set()
    for file in [*(ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("part", "others"), [("e2ed2", {"app", "study", "gradio"}), ("study", {"app", "torch", "gradio"})]
)
def test_parts_know_only_the_parts_below(part, others):
    assert not imports(part) & others


def test_every_imported_package_is_pinned():
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.M))
    own = {"app", "e2ed2", "study"}
    third_party = (imports("e2ed2") | imports("app") | imports("study")) - set(sys.stdlib_module_names) - own
    assert {DISTRIBUTIONS.get(name, name) for name in third_party} <= pinned


def test_continuous_integration_runs_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_every_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in ("README.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"\bmake ([a-z]+)\b", (ROOT / document).read_text())) <= targets


def test_every_document_that_the_readme_links_to_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_bundled_assets_stay_small():
    size = sum(file.stat().st_size for file in (ROOT / "assets").rglob("*") if file.is_file())
    assert size < 150e6


def test_app_is_a_package_and_a_script():
    assert (ROOT / "app" / "__init__.py").is_file()
    assert len((ROOT / "app.py").read_text().splitlines()) <= 15
