"""Pictures that a person judges: what was said of one stays with it, and is counted beside the head's verdict."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from e2ed2.evaluation.experiments import by_eye
from e2ed2.evaluation.experiments.by_eye import OUT, VERDICTS, ByEye, Judged, counted, kept_verdict, read_judged

CAT = Judged("l2", "kitty", "cat, flat style", "l2-4-abc", "right", "half")
EVALUATION = Path("docs/evaluation.md")


@pytest.mark.parametrize(
    ("changed", "kept"),
    [({}, "half"), ({"head": "wrong"}, "half"), ({"weights": "l2-4-def"}, ""), ({"caption": "cat face"}, "")],
)
def test_a_verdict_goes_with_its_very_picture(changed, kept):
    assert kept_verdict(replace(CAT, eye="", **changed), [CAT]).eye == kept


def test_the_head_is_counted_beside_the_eye():
    seen = ["right right", "right right", "right wrong", "wrong right", "wrong wrong"]
    judged = [replace(CAT, eye=eye, head=head) for eye, head in map(str.split, seen)]
    assert counted([*judged, replace(CAT, eye="")]) == (
        "l2: 3 right (2), 0 half (0), 2 wrong (1), 1 not judged yet; the head calls 4 right (in brackets)"
    )


def test_the_table_is_written_from_what_was_sampled_and_judged_before(tmp_path, monkeypatch):
    table = tmp_path / "by_eye.csv"
    monkeypatch.setattr(by_eye, "OUT", table)
    monkeypatch.setattr(by_eye, "reader_for", lambda model: lambda prompt, seeds: [f"{prompt}, flat style"])
    monkeypatch.setattr(by_eye, "verdicts", lambda images, prompts: ["right"] * len(prompts))

    class Grey:
        fingerprint = "l2-4-abc"

        def __call__(self, captions, seeds):
            assert set(seeds) == {3}
            return [Image.new("RGB", (16, 16), "grey") for _ in captions]

    monkeypatch.setattr(by_eye, "load_generator", lambda model, steps: Grey())
    options = ByEye(models=("l2",), prompts=3, seed=3, sheets=tmp_path)
    monkeypatch.setattr(by_eye.tyro, "cli", lambda *_, **__: options)
    by_eye.main()
    first = read_judged(table)
    assert [one.eye for one in first] == [""] * 3
    by_eye.write_judged(table, [replace(first[0], eye="half"), *first[1:]])
    by_eye.main()
    assert [one.eye for one in read_judged(table)] == ["half", "", ""]
    assert (tmp_path / "l2.png").is_file()


def test_what_the_documentation_says_is_what_was_judged():
    judged = read_judged(OUT)
    assert {one.eye for one in judged} <= set(VERDICTS)
    text = EVALUATION.read_text()
    for line in counted(judged).splitlines():
        assert line.split(";")[0] in text
