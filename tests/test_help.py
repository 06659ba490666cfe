"""Help, and the refusal of what cannot be meant, come before anything that takes seconds to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "diffusers", "transformers", "gradio", "numpy", "pandas", "pyarrow", "scipy", "sqlalchemy", "fastapi")
PROGRAM = f"""
import runpy, sys
sys.argv = sys.argv[1:]
start = runpy.run_path if sys.argv[0] == "app.py" else runpy.run_module
try:
    start(sys.argv[0], run_name="__main__")
except SystemExit:
    print("loaded:", *sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)
    raise
"""


def run(command: str, code: int) -> str:
    """What it printed; it must end with that code, and have loaded nothing heavy."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.split()], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    *said, loaded = done.stderr.strip().splitlines()
    assert (done.returncode, loaded) == (code, "loaded:"), done.stderr
    return done.stdout + "\n".join(said)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("e2ed2 --help", "train"),
        pytest.param("e2ed2 train --help", "l2-lpips-gan", marks=pytest.mark.slow),
        ("e2ed2 train l2-lpips --help", "--trainer.updates"),
        pytest.param("e2ed2 sample --help", "--prompt", marks=pytest.mark.slow),
        pytest.param("e2ed2 evaluate --help", "--captions", marks=pytest.mark.slow),
        pytest.param("e2ed2 inspect --help", "FLOPs per picture", marks=pytest.mark.slow),
        pytest.param("e2ed2 export --help", "move or upload", marks=pytest.mark.slow),
        pytest.param("e2ed2 export web --help", "Write a static page", marks=pytest.mark.slow),
        pytest.param("e2ed2 data --help", "contact sheet", marks=pytest.mark.slow),
        ("study --help", "simulate"),
        ("app.py --help", "E2ED2_ADMIN_SECRET"),
    ],
)
def test_help_loads_nothing_heavy(command, named):
    assert named in run(command, 0)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        pytest.param("e2ed2 nonsense", "usage: python -m e2ed2", marks=pytest.mark.slow),
        ("e2ed2 train l2 --trainer.lr 0", "lr is 0.0: choose a number above 0"),
        pytest.param("e2ed2 train l2 --loss l3", "Unknown loss 'l3'", marks=pytest.mark.slow),
        pytest.param("e2ed2 train l2 --nonsense 1", "--nonsense", marks=pytest.mark.slow),
        pytest.param("e2ed2 train codec --loss l2", "does not read --loss", marks=pytest.mark.slow),
        pytest.param("e2ed2 sample --prompt cat --model l2 --nonsense", "--nonsense", marks=pytest.mark.slow),
        pytest.param(
            "e2ed2 sample --prompt cat --model l2 --steps 99", "99 steps are not possible", marks=pytest.mark.slow
        ),
        pytest.param(
            "e2ed2 sample --prompt cat --model l2 --count 0", "A count of 0 samples nothing", marks=pytest.mark.slow
        ),
        pytest.param(
            "e2ed2 sample --prompt cat --model l2 --style nonsense",
            "Unknown style 'nonsense': choose one of mixed, noto",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "e2ed2 sample --prompt cat --model nowhere",
            "No model 'nowhere': choose one of energy",
            marks=pytest.mark.slow,
        ),
        ("e2ed2 export web --model nowhere --out page", "No model 'nowhere': choose one of energy"),
        pytest.param(
            "e2ed2 export web --model l2 --out tests",
            "tests exists already: choose another folder",
            marks=pytest.mark.slow,
        ),
        pytest.param("e2ed2 evaluate l2 --steps 0", "0 steps are not possible", marks=pytest.mark.slow),
        pytest.param("e2ed2 evaluate l2 --captions 2", "2 captions are too few", marks=pytest.mark.slow),
        ("study nonsense", "usage: python -m study"),
        pytest.param("app.py --port 80", "unrecognized arguments: --port 80", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_heavy_is_loaded(command, sentence):
    assert sentence in run(command, 2)
