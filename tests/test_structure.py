"""The rules that keep the parts apart."""

import ast
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = {"app", "e2ed2", "study", "tests", "benchmarks", "tools"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "sqlalchemy": "SQLAlchemy",
    "resvg_py": "resvg-py",
    "torch_fidelity": "torch-fidelity",
    "axe_playwright_python": "axe-playwright-python",
}


def imports(*parts: str) -> set[str]:
    """Top-level names that Python files, or those of folders, import."""
    files = [file for part in parts for file in [ROOT / part, *(ROOT / part).rglob("*.py")] if file.suffix == ".py"]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found


def pinned(*files: str) -> set[str]:
    return {name for file in files for name in re.findall(r"^([\w-]+)(?:\[\w+\])?==", (ROOT / file).read_text(), re.M)}


def packages(*parts: str) -> set[str]:
    """Third-party packages, as pip names them."""
    return {DISTRIBUTIONS.get(name, name) for name in imports(*parts) - set(sys.stdlib_module_names) - OWN}


@pytest.mark.parametrize(
    ("part", "others"), [("e2ed2", {"app", "study", "gradio"}), ("study", {"app", "torch", "gradio"})]
)
def test_parts_know_only_the_parts_below(part, others):
    assert not imports(part) & others


def test_the_rules_see_the_imports():
    assert {"torch", "diffusers"} <= imports("e2ed2")
    assert {"e2ed2", "gradio"} <= imports("app")


def test_every_imported_package_is_pinned():
    assert packages("e2ed2", "app", "app.py", "study", "benchmarks", "tools") <= pinned("requirements.txt")
    assert packages("tests", "assets") <= pinned("requirements.txt", "requirements-dev.txt")


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_has_one_exact_version(file):
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    names = [line.split("==")[0].lower() for line in lines if line and not line.startswith("-r ")]
    assert len(names) == len(set(names)) == len(pinned(file))


def test_continuous_integration_runs_the_readmes_test_command():
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_every_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in ("README.md", "CONTRIBUTING.md"):  # commands are indented or between backticks; prose is neither
        named = set(re.findall(r"(?:^    |`)make ([a-z-]+)\b", (ROOT / document).read_text(), re.M))
        assert named <= targets


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
