"""Texts that were read and approved, in tests/golden.

UPDATE_GOLDEN=1 writes a file anew: read its difference as a reader of the report would.
"""

import ast
import os
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    file = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def flat(text: str) -> str:
    """With single spaces, so that it does not matter where lines end."""
    return re.sub(r"\s+", " ", text).strip()


def phrases(module) -> set[str]:
    """The parts of sentences that a module's code holds: three words at least, no docstrings."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare
    }
    return {flat(text) for text in texts if len(re.findall(r"[A-Za-z]{2,}", text)) > 2}
