"""`make bench` measures what docs/performance.md lists."""

import re
import subprocess
from pathlib import Path

from benchmarks import help as benchmark_of_help
from benchmarks.alignprop import __main__ as alignprop
from benchmarks.training import Options

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_make_bench_measures_all_that_the_page_lists():
    command = ["make", "--dry-run", "--no-print-directory", "bench"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    measured = set(re.search(r"for name in (.*?);", printed)[1].split())
    listed = set(re.findall(r"python -m benchmarks\.(\w+)", PAGE))
    assert {"alignprop", "help", "training", "runtimes"} <= listed <= measured
    assert not {"preference_loop", "gpu_step", "memory", "loop"} & measured


def test_trainings_are_measured_in_both_precisions_of_the_page():
    assert Options().precision == ("no", "bf16")


def test_without_trl_one_line_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["alignprop"])
    alignprop.main()
    assert capsys.readouterr().out.strip().endswith("`python -m benchmarks.alignprop --fetch` gets it.")
    assert not list(tmp_path.iterdir())


def test_help_is_measured_as_seconds_and_as_a_ratio(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["help", "--repeats", "1"])
    monkeypatch.setattr(benchmark_of_help, "seconds", lambda command: 0.5 if "e2ed2" in command else 0.25)
    benchmark_of_help.main()
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[-2:] for row in rows] == [["0.25", "1.0"]] + [["0.50", "2.0"]] * len(benchmark_of_help.COMMANDS)
