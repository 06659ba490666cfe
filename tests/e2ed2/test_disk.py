"""Disks that are full and folders of somebody else's: one sentence, or none where nothing is lost."""

import errno

import pytest
import torch
from PIL import Image

from e2ed2.data import cache
from e2ed2.data.cache import cached


@pytest.fixture
def full(monkeypatch):
    def fail(*given, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "save_tensors", fail)
    monkeypatch.setattr(Image.Image, "save", fail)


@pytest.mark.parametrize("trouble", ["full", "not a folder"])
def test_what_cannot_be_kept_is_made_and_said(tmp_path, monkeypatch, capsys, request, trouble):
    home = tmp_path / "home"
    monkeypatch.setenv("E2ED2_DATA", str(home))
    if trouble == "full":
        request.getfixturevalue("full")
    else:
        home.write_text("in the way")
    made = cached("things", [b"1"], lambda: {"x": torch.ones(2)})
    assert torch.equal(made["x"], torch.ones(2))
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert str(home / "cache") in said
    assert "E2ED2_DATA" in said
    assert not list(tmp_path.rglob("*.partial"))


def test_a_full_disk_ends_sample_in_one_sentence(called, tiny_model, tmp_path, full):
    said = called(
        "sample", "--prompt", "cat", "--model", tiny_model, "--steps", 1, "--out", tmp_path / "out", code=2
    ).err
    assert said.splitlines()[-1].startswith("A file cannot be written (No space left on device)")


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "--prompt", "cat", "--model", "{model}", "--steps", 1, "--out", "{out}"),
        ("export", "{model}", "{out}"),
        ("evaluate", "{model}", "--captions", 8, "--variety", 0, "--nearest", 0, "--out", "{out}/a.json"),
        ("train", "l2", "--out", "{out}", "--init", "{model}", "--trainer.updates", 1),
    ],
    ids=lambda command: command[0],
)
def test_a_folder_that_cannot_be_written_is_one_sentence(called, tiny_model, tmp_path, monkeypatch, command):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path / "home"))
    (tmp_path / "file").write_text("in the way")
    out = tmp_path / "file" / "folder"
    arguments = [str(part).format(model=tiny_model, out=out) for part in command]
    assert str(out) in called(*arguments, code=2).err.splitlines()[-1]
