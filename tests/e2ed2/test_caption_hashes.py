"""A model's folder says which captions it was trained on, so that a benchmark can tell whether it knows its prompts."""

import json

import numpy as np

from e2ed2.data.caption_hashes import FILE, trained_on, write_hashes
from e2ed2.data.pictures import Pictures
from e2ed2.data.shards import CachedPictures
from e2ed2.training.run import train

IMAGES = np.zeros((2, 8, 8, 3), np.uint8)


def test_prompts_that_were_captions_are_counted(tmp_path):
    assert trained_on(["a red apple"], tmp_path) is None
    write_hashes(Pictures(IMAGES, ["A red  apple.", "a house"], [["an apple"], []]), tmp_path)
    assert trained_on(["a red apple", "An Apple", "a green apple", "a red apple"], tmp_path) == 3
    assert (tmp_path / FILE).stat().st_size == 3 * 8


def test_captions_in_shards_are_known_and_names_of_drawings_are_left_out(tmp_path):
    write_hashes(Pictures(IMAGES, ["apple", "house"], named=True), tmp_path)
    assert trained_on(["apple"], tmp_path) is None
    lines = [{"name": "0.png", "texts": ["a dog", "two dogs"]}, {"name": "1.png", "left out": "no caption"}]
    (tmp_path / "shard.jsonl").write_text("\n".join(map(json.dumps, lines)))
    cached = object.__new__(CachedPictures)
    cached.files = [tmp_path / "shard.safetensors"]
    write_hashes(cached, tmp_path)
    assert trained_on(["two dogs", "a cat"], tmp_path) == 1


def test_a_training_writes_them_beside_its_model(run_config, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("e2ed2.training.run.write_hashes", lambda pictures, folder: written.append((pictures, folder)))
    assert train(run_config, tmp_path / "run")
    ((pictures, folder),) = written
    assert folder == tmp_path / "run" / "model"
    assert len(pictures) > 1
