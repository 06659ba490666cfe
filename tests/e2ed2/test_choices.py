"""What the one-hot choices of a model came to mean."""

import sys

import pytest
import torch

from e2ed2.evaluation.emoji import drawings, drawn_by_many
from e2ed2.evaluation.experiments.choices import Meaning, main, meanings, note
from e2ed2.inference.sampling import load


def test_each_choice_that_energy_keeps_is_another_artist():
    pipeline = load("energy")
    found = meanings(pipeline, drawings("train"), drawn_by_many(drawings("train"), 20))
    kept = pipeline.denoiser.config["kept"]
    assert len({found[choice].artists.most_common(1)[0][0] for choice in kept}) == len(kept) == 5
    assert sum(found[choice].nearest for choice in kept) > 0.7 * sum(meaning.nearest for meaning in found)


def test_a_choice_is_credited_with_the_drawings_it_is_nearest_to_and_with_its_own_error():
    found = [Meaning() for _ in range(2)]
    note(found, torch.tensor([[0.1, 0.2, 0.9], [0.5, 0.4, 0.3]]), ["noto", "flat", "fluent"])
    assert [meaning.nearest for meaning in found] == [2, 1]
    assert [meaning.error for meaning in found] == pytest.approx([0.1, 0.3])
    assert [dict(meaning.artists) for meaning in found] == [{"noto": 1}, {"fluent": 1}]


@pytest.mark.parametrize(("model", "status"), [("energy", 0), ("l2", 2), ("nobody", 2)])
def test_the_command_shows_every_choice_or_says_that_there_is_none(model, status, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["choices", model, "--captions", "2"])
    if status:
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == status
        assert "energy" in capsys.readouterr().err
    else:
        main()
        assert "openmoji" in capsys.readouterr().out
