"""What the pages' start costs: nothing is imported that the first picture can do without."""

import ast
import gc
import inspect
import pathlib
import sys
from importlib.util import find_spec
from pathlib import Path

import gradio as gr
import pytest

from app.look.building import without_servers
from app.settings import quickly
from e2ed2.reading import spelling
from study.store.database import open_database

ROOT = Path(__file__).parents[2]
OWN = ("app", "e2ed2", "study")
HEAVY = {
    "accelerate",
    "alembic",
    "datasets",
    "diffusers",
    "peft",
    "scipy",
    "torchvision",
    "transformers",
}  # 1 to 6 s each


def test_a_database_that_is_up_to_date_needs_no_alembic(tmp_path, monkeypatch):
    open_database(tmp_path).engine.dispose()
    monkeypatch.setitem(sys.modules, "alembic", None)  # importing it would fail
    open_database(tmp_path).engine.dispose()
    with pytest.raises(ImportError):
        open_database(tmp_path / "another")


def test_the_names_of_things_need_no_dictionary(monkeypatch):
    monkeypatch.setattr(spelling, "english", lambda: pytest.fail("the dictionary was read"))
    assert spelling.Speller(["apple"], ["apple"])("a red apple") == "a red apple"


def at_the_top(file: Path) -> set[str]:
    """The modules that a file imports when it is imported, those of `from package import module` among them."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


def file_of(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def imported(first: str) -> dict[str, str]:
    """Every module that comes with the first one, and which asks for it."""
    asking, todo = {first: ""}, [first]
    while todo:
        module = todo.pop()
        if module.split(".")[0] not in OWN or not (file := file_of(module)):
            continue
        packages = {module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)}
        for other in at_the_top(file) | packages:
            if other not in asking:
                asking[other] = module
                todo.append(other)
    return asking


def test_gradio_is_imported_without_its_stubs_for_editors():
    with quickly():
        assert not gc.isenabled()
        with pytest.raises(OSError, match=r"^$"):
            inspect.getfile(gr.Textbox)
        assert inspect.getfile(Path) == pathlib.__file__
    assert gc.isenabled()
    assert Path(inspect.getfile(gr.Textbox)).is_file()


def test_no_page_is_listed_before_all_are_there():
    with without_servers(), gr.Blocks() as page:
        gr.Textbox()
    assert page.config == {}
    assert "textbox" in {one["type"] for one in page.get_config_file()["components"]}


def test_the_pages_start_without_what_takes_seconds_to_import():
    asking = imported("app.server")
    assert {"torch", "gradio", "e2ed2.models.minilm"} <= asking.keys()
    assert all(find_spec(name) for name in HEAVY)
    assert not {name: module for name, module in asking.items() if name.split(".")[0] in HEAVY}
