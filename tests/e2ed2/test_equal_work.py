"""A comparison that goes on uses only what its own settings made."""

import json
import shutil
from dataclasses import asdict, replace

import pytest

from e2ed2.errors import UserError
from e2ed2.evaluation import run
from e2ed2.evaluation.experiments import small
from e2ed2.evaluation.experiments.equal_work import EqualWork, main
from e2ed2.evaluation.experiments.small import finish_config, measured, start_config, trained
from e2ed2.evaluation.generators import fingerprint
from e2ed2.training.presets import PRESETS
from e2ed2.training.run import claim

FIGURES = {"distance": {"fd": 1.0, "kid": 0.1}, "alignment": {"top1": 0.5}}


def finished(config, folder):
    claim(folder, config)
    (folder / "model").mkdir()
    (folder / "model" / "README.md").touch()
    (folder / "model" / "run.json").write_text(json.dumps({"cost": {"flop": 7.0}}))
    return folder


def test_a_finished_training_is_taken_where_its_settings_are_the_same(tmp_path):
    options = EqualWork(runs=tmp_path)
    start = finished(start_config(options, 0), tmp_path / "start-0")
    for other in (options, replace(options, loss="l2:0.3+lpips"), replace(options, finish_updates=5)):
        assert trained(start_config(other, 0), start) == (start / "model", 7.0)
    ours = finished(finish_config(options, PRESETS["l2"], 0, start), tmp_path / "l2-0")
    with pytest.raises(UserError, match="other settings"):
        trained(finish_config(replace(options, finish_updates=5), PRESETS["l2"], 0, start), ours)


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--start-updates", "5"], "other settings"), (["--limit", "3"], "at least 4")]
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, capsys, arguments, words):
    finished(start_config(EqualWork(), 0), tmp_path / "start-0")
    monkeypatch.setattr("sys.argv", ["equal_work", "--runs", str(tmp_path), *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_another_number_of_captions_or_another_head_measures_again(tiny_model, tmp_path, monkeypatch):
    """A figure of a former head is not one of today's."""
    folder, asked = shutil.copytree(tiny_model, tmp_path / "model"), []

    def evaluate(options):
        asked.append((options.captions, run.head_digest()))
        choices = run.judges_of(options) | {"weights": fingerprint(folder, options.steps)}
        result = FIGURES | {"settings": json.loads(json.dumps(asdict(options), default=str)), "choices": choices}
        options.out.write_text(json.dumps(result))
        return result

    monkeypatch.setattr(small, "evaluate", evaluate)
    for captions, head in ((150, "a"), (150, "a"), (20, "a"), (20, "b"), (20, "b")):
        monkeypatch.setattr(run, "head_digest", lambda head=head: head)
        assert measured(EqualWork(captions=captions), folder, 4) == {"fd": 1.0, "kid": 0.1, "top1": 0.5}
    assert asked == [(150, "a"), (20, "a"), (20, "b")]
