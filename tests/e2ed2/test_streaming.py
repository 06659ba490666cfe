"""Sets on disk: read at any place, encoded once, in the shapes of their pictures; the same updates as from memory."""

import io
import json
import tarfile
import tracemalloc
from dataclasses import replace
from shutil import copytree

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from e2ed2.data.batches import part_of
from e2ed2.data.caching import nearest, shapes_of, write_cache
from e2ed2.data.check import check
from e2ed2.data.config import CacheOptions, DataConfig
from e2ed2.data.from_disk import open_held_out, open_pictures
from e2ed2.data.pictures import load_pictures
from e2ed2.data.rows import Listed
from e2ed2.data.shard_writing import save_shard
from e2ed2.data.shards import SHARD, lines_of
from e2ed2.data.sources import read_table
from e2ed2.data.streamed import Ahead, StreamedPictures, noted
from e2ed2.data.tars import scan
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.minilm import MiniLM
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.run import build, train
from e2ed2.types import TextEmbedding

from .test_training import stop_after

COUNT = 22
CPU = torch.device("cpu")


def picture(number: int, size: tuple[int, int], kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(buffer, kind)
    return buffer.getvalue()


def size_of(number: int) -> tuple[int, int]:
    return [(64, 64), (96, 48), (40, 80)][number % 3]


def pack(file, samples: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in samples.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def sample(number: int, **more: bytes) -> dict[str, bytes]:
    told = json.dumps({"caption": [f"thing {number}", f"the {number}"], "width": size_of(number)[0]}).encode()
    parts = {"png": picture(number, size_of(number)), "json": told} | more
    return {f"{number:04d}.{part}": data for part, data in parts.items()}


@pytest.fixture(scope="module")
def tars(tmp_path_factory):
    """Two shards as img2dataset writes them, of pictures of three shapes."""
    folder = tmp_path_factory.mktemp("tars")
    for shard, numbers in enumerate((range(9), range(9, COUNT))):
        pack(folder / f"{shard}.tar", {name: data for n in numbers for name, data in sample(n).items()})
    return folder


def data_of(path, **options) -> DataConfig:
    usual = {"image_column": "png", "caption_column": "caption", "resolution": 32, "workers": 2}
    return DataConfig(path=str(path), **usual | options)


def test_a_sample_of_a_shard_is_read_where_it_lies(tars):
    rows = read_table(str(tars), "png").rows
    assert len(rows) == COUNT
    assert rows[13].image == picture(13, size_of(13))
    assert rows[13].fields["caption"] == ["thing 13", "the 13"]
    assert rows[13].name == "1.tar 0013"
    assert {"png", "json", "caption", "width"} <= set(read_table(str(tars), "png").columns)


def test_where_the_samples_lie_is_noted_once(tars, monkeypatch):
    first = read_table(str(tars), "png").rows
    monkeypatch.setattr("e2ed2.data.tars.scan", lambda files: pytest.fail("looked again"))
    assert read_table(str(tars), "png").rows[COUNT - 1] == first[COUNT - 1]


def test_a_shard_that_ends_early_gives_what_is_whole(tmp_path, capsys):
    pack(tmp_path / "0.tar", {name: data for n in range(4) for name, data in sample(n).items()})
    whole = (tmp_path / "0.tar").read_bytes()
    places = scan([tmp_path / "0.tar"])["places"]
    (tmp_path / "0.tar").write_bytes(whole[: int(places[3, 0, 0]) + 10])  # within the last picture
    pictures = StreamedPictures(data_of(tmp_path))
    assert [one.texts[0] for one in pictures.samples(torch.arange(3))] == ["thing 0", "thing 1", "thing 2"]
    assert pictures.at(3).texts[0] == "thing 0"  # the next
    assert "is damaged" in capsys.readouterr().err
    StreamedPictures(data_of(tmp_path))
    assert "is damaged" in capsys.readouterr().err  # said each time, though looked at once


@pytest.fixture(scope="module")
def dataset(tars, tmp_path_factory):
    """The same set as datasets saves it, in two splits."""
    rows = [{"image": {"bytes": row.image, "path": None}, "caption": row.fields["caption"]} for row in rows_in(tars)]
    features = datasets.Features({"image": datasets.Image(), "caption": [datasets.Value("string")]})
    whole = datasets.Dataset.from_list(rows, features=features)
    folder = tmp_path_factory.mktemp("saved")
    parts = {"train": whole.select(range(COUNT - 4)), "test": whole.select(range(COUNT - 4, COUNT))}
    datasets.DatasetDict(parts).save_to_disk(str(folder / "both"))
    whole.to_parquet(str(folder / "whole.parquet"))
    return folder


def rows_in(tars):
    return read_table(str(tars), "png").rows


def test_a_hugging_face_dataset_is_mapped_and_its_splits_are_known(dataset):
    config = data_of(dataset / "both", image_column="image", stream=True)
    pictures = open_pictures(config)
    assert len(pictures) == COUNT - 4
    assert pictures.at(5).texts == ["thing 5", "the 5"]
    assert len(open_held_out(config, 64)) == 4
    assert len(open_pictures(replace(config, split="test"))) == 4
    with pytest.raises(UserError, match="choose one of test, train"):
        open_pictures(replace(config, split="none"))


@pytest.mark.parametrize("kind", ["tars", pytest.param("parquet", marks=pytest.mark.slow)])
def test_a_streamed_update_is_that_of_the_set_in_memory(run_config, tars, dataset, kind):
    """In pictures, captions, latents and noise, to the bit: a training may go on with the other."""
    path = tars if kind == "tars" else dataset / "whole.parquet"
    config = replace(run_config, data=data_of(path, image_column="png" if kind == "tars" else "image"))
    config = replace(config, objective=replace(config.objective, loss=LossSpec.parse("lpips"), precompute=False))
    objective, memory = build(config)
    disk = objective.batches(StreamedPictures(replace(config.data, stream=True)), 4, 0, CPU)
    for update, process in ((0, 0), (2, 1), (40, 0)):
        a, b = memory(update, process, 2), disk(update, process, 2)
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.latents, b.latents)
        assert torch.equal(a.text.tokens, b.text.tokens)
        assert torch.equal(a.text.pooled, b.text.pooled)


def test_the_noise_of_captions_is_that_of_the_cpu_wherever_they_are_embedded(run_config, tars, monkeypatch):
    config = replace(run_config, data=data_of(tars, stream=True))
    _, batches = build(config)
    batches.encoder, here = MiniLM().to("cpu"), []
    monkeypatch.setattr(TextEmbedding, "to", lambda text, device, dtype=None: here.append(str(device)) or text)
    batches.options = replace(batches.options, device="meta")
    batches.assemble(torch.ones(1), torch.ones(1), batches.encoder(["a cat"]), 0.1, UpdateSeeds(0, 0))
    assert here == ["cpu", "meta"]


def test_a_streamed_training_stopped_within_an_epoch_goes_on_bit_for_bit(run_config, tars, tmp_path, monkeypatch):
    config = replace(run_config, data=data_of(tars, stream=True), trainer=replace(run_config.trainer, batch_size=2))
    assert train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(config, tmp_path / "parts")
    assert train(config, tmp_path / "parts")
    a, b = (load_file(tmp_path / name / "checkpoints" / "000004" / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_processes_share_an_update_whatever_their_number():
    whole = torch.arange(24)
    for processes in (1, 2, 3, 8):
        assert torch.equal(torch.cat([part_of(whole, p, processes) for p in range(processes)]), whole)


def test_memory_does_not_grow_with_the_set(tmp_path):
    big = picture(0, (256, 256))  # 197 KB decoded
    pack(
        tmp_path / "0.tar",
        {f"{n:03d}.{part}": data for n in range(200) for part, data in (("png", big), ("txt", b"x"))},
    )
    pictures = StreamedPictures(data_of(tmp_path, caption_column="txt", resolution=256))
    tracemalloc.start()
    for start in range(0, 200, 8):
        pictures.tensor(torch.arange(start, start + 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # all pictures are 39e6


@pytest.fixture
def spoilt(tmp_path):
    """Number 1 is no picture, number 4 has no caption."""
    parts = [sample(n, **({"png": b"<html>"} if n == 1 else {})) for n in range(6)]
    parts[4].pop("0004.json")
    pack(tmp_path / "0.tar", {name: data for one in parts for name, data in one.items()})
    return tmp_path


def test_what_cannot_be_used_is_skipped_counted_and_named(spoilt, tmp_path, capsys):
    pictures = StreamedPictures(data_of(spoilt, workers=1))
    with noted(tmp_path / "data.log"):
        for _ in range(2):
            assert [one.texts[0] for one in pictures.samples(torch.tensor([0, 1, 4]))] == [
                "thing 0",
                "thing 2",
                "thing 5",
            ]
    lines = (tmp_path / "data.log").read_text().splitlines()
    assert len(lines) == 2
    assert "1 left out: 0.tar 0001 cannot be read as a picture" in lines[0]
    assert "2 left out: 0.tar 0004 has no caption" in lines[1]
    assert "data.log names them" in capsys.readouterr().err


def test_a_set_of_which_nothing_can_be_used_is_one_sentence(tmp_path):
    pack(tmp_path / "0.tar", {"0.txt": b"x"} | {f"{n}.png": b"<html>" for n in range(3)})
    pictures = StreamedPictures(data_of(tmp_path, caption_column="txt"))
    for _ in range(2):  # what was met before is told again
        with pytest.raises(UserError, match=r"3 pictures of .* in a row cannot be used\. 0\.tar 2"):
            pictures.example  # noqa: B018
    with pytest.raises(UserError, match="holds no picture"):
        StreamedPictures(data_of(tmp_path), Listed([]))


def test_what_comes_next_is_fetched_meanwhile_and_nothing_piles_up():
    asked = []
    ahead = Ahead(lambda *key: asked.append(key) or key)
    assert [ahead(update, 1, 2) for update in (0, 1, 2)] == [(0, 1, 2), (1, 1, 2), (2, 1, 2)]
    assert ahead(90, 1, 2) == (90, 1, 2)
    assert ahead(3, 0, 1) == (3, 0, 1)
    assert len(asked) == len(set(asked))
    assert set(ahead.waiting) == {(4, 0, 1), (5, 0, 1)}


def test_data_check_reads_a_streamed_set_and_says_what_is_wrong(spoilt, called):
    options = ("--image-column", "png", "--caption-column", "caption", "--resolution", "64", "--stream")
    said = called("data", "check", spoilt, *options, code=2).err
    assert "0.tar 0001 cannot be read" in said
    assert "2 of 6 pictures cannot be used" in said
    said = called("data", "check", spoilt, *options, "--skip-bad").out
    assert "4 pictures, 8 captions" in said
    assert "are smaller than 64 by 64" in said


def test_data_check_has_few_pictures_wait_for_a_thread_whatever_the_sets_size(tars, monkeypatch):
    pictures, waiting = StreamedPictures(data_of(tars)), []

    def mapped(look, places):
        waiting.append(len(places))
        return map(look, places)

    monkeypatch.setattr("e2ed2.data.check.AT_A_TIME", 8)
    monkeypatch.setattr(pictures.pool, "map", mapped)
    assert check(pictures, MiniLM())[0] == f"{COUNT} pictures, {2 * COUNT} captions"
    assert waiting == [8, 8, COUNT - 16]


# What `data cache` writes


def cached(where, out, **options) -> tuple[int, int]:
    data = options.pop("data", data_of(where))
    usual = {"backbone": "tiny:sd", "shard_size": 8, "batch_size": 4}
    return write_cache(CacheOptions(out=out, data=data, **usual | options))


def objective_of(loss="l2", **options) -> BackboneEndToEnd:
    return BackboneEndToEnd.of(BackboneEndToEndConfig(backbone="tiny:sd", loss=LossSpec.parse(loss), **options), 32)


@pytest.fixture(scope="module")
def shards(tars, tmp_path_factory):
    out = tmp_path_factory.mktemp("cached") / "square"
    assert cached(tars, out) == (COUNT, 0)
    return out


@pytest.fixture(scope="module")
def buckets(tars, tmp_path_factory):
    out = tmp_path_factory.mktemp("cached") / "buckets"
    assert cached(tars, out, buckets=True, pixels=False) == (COUNT, 0)
    return out


def test_what_is_cached_is_what_is_encoded_anew(shards, tars):
    """With the same captions in the same updates; latents and states are in half precision."""
    made = objective_of("lpips")
    memory = made.batches(load_pictures(data_of(tars)), 4, 0, CPU)
    disk = made.batches(open_pictures(data_of(shards)), 4, 0, CPU)
    for update, process in ((0, 0), (3, 1)):
        a, b = memory(update, process, 2), disk(update, process, 2)
        assert torch.allclose(a.latents, b.latents, atol=1e-3)
        assert torch.allclose(a.text.tokens, b.text.tokens, atol=1e-2)
        assert torch.equal(a.text.mask, b.text.mask)
        assert torch.allclose(a.text.pooled, b.text.pooled, atol=1e-5)
        assert (a.images - b.images).abs().mean() < 0.02  # JPEG


def test_caching_goes_on_and_is_not_mixed(shards, tars, tmp_path, monkeypatch):
    written = sorted(shards.glob("*.safetensors"))
    assert len(written) == 3
    times = [file.stat().st_mtime_ns for file in written]
    written[1].rename(tmp_path / "away")
    with pytest.raises(UserError, match=r"2 of 3 shards: run the same `data cache`"):
        open_pictures(data_of(shards))
    assert cached(tars, shards) == (COUNT, 0)
    assert [file.stat().st_mtime_ns == time for file, time in zip(written, times, strict=True)] == [True, False, True]
    a, b = load_file(written[1]), load_file(tmp_path / "away")
    assert all(torch.equal(a[name], b[name]) for name in b)
    with pytest.raises(UserError, match=r"another set or model \(other resolution\)"):
        cached(tars, shards, data=data_of(tars, resolution=64))


def test_shards_that_do_not_fit_are_refused_in_a_sentence(shards, buckets, tmp_path):
    with pytest.raises(UserError, match=r"add --data.resolution 32"):
        open_pictures(data_of(shards, resolution=64))
    other = BackboneEndToEnd.of(BackboneEndToEndConfig(backbone="tiny:sd3"), 32)
    with pytest.raises(UserError, match="was made with another"):
        other.batches(open_pictures(data_of(shards)), 4, 0, CPU)
    with pytest.raises(UserError, match="has only their latents"):
        objective_of("lpips").batches(open_pictures(data_of(buckets)), 4, 0, CPU)
    with pytest.raises(UserError, match="name a set of your own"):
        write_cache(CacheOptions(out=tmp_path, codec_from="codec"))
    with pytest.raises(UserError, match="Whose codec"):
        CacheOptions(out=tmp_path)
    with pytest.raises(UserError, match="make squares"):
        CacheOptions(out=tmp_path, codec_from="codec", buckets=True)
    for name in ("shards.json", *(f"shard-0000{n}.{kind}" for n in range(3) for kind in ("safetensors", "jsonl"))):
        (tmp_path / name).write_bytes((shards / name).read_bytes())
    (tmp_path / "shard-00001.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"shard-00001.safetensors cannot be read: delete it"):
        open_pictures(data_of(tmp_path))
    with pytest.raises(UserError, match="encoded with the caption-column 'caption', not 'text': leave"):
        open_pictures(data_of(shards, caption_column="text"))
    for damaged in ('{"sou', "[]", "{}"):
        (tmp_path / "shards.json").write_text(damaged)
        with pytest.raises(UserError, match=r"shards.json cannot be read: delete it"):
            open_pictures(data_of(tmp_path))


def test_lines_that_are_lost_are_missed_at_once_and_written_again(shards, tars, tmp_path):
    copytree(shards, tmp_path, dirs_exist_ok=True)
    lines = tmp_path / "shard-00001.jsonl"
    lines.unlink()
    with pytest.raises(UserError, match="has 2 of 3 shards: run the same `data cache`"):
        open_pictures(data_of(tmp_path))
    cached(tars, tmp_path)
    assert lines.read_text() == (shards / lines.name).read_text()
    lines.write_text('{"na')
    with pytest.raises(UserError, match=r"shard-00001.jsonl cannot be read: delete it"):
        cached(tars, tmp_path)


def test_a_caption_with_a_line_separator_is_one_line_beside_its_shard(tmp_path):
    lines = [{"name": "1.png", "texts": ["a cat\u2028on a mat\x85"]}]
    save_shard({}, lines, tmp_path / SHARD.format(0))
    assert lines_of(tmp_path / SHARD.format(0)) == lines


def test_shards_of_other_captions_are_not_gone_on_with(shards, tars):
    with pytest.raises(UserError, match=r"of another set or model \(other caption_column\)"):
        cached(tars, shards, data=data_of(tars, caption_column="width"))


def test_a_disk_that_is_full_ends_caching_in_one_sentence(tars, tmp_path, monkeypatch):
    def full(*given):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("e2ed2.data.shard_writing.save_tensors", full)
    with pytest.raises(UserError, match=r"No space left on device\): free some space"):
        cached(tars, tmp_path / "shards")


def test_what_cannot_be_encoded_is_named_beside_the_shard(spoilt, tmp_path, called):
    out = tmp_path / "out"
    said = called(
        *("data", "cache", spoilt, "--out", out, "--backbone", "tiny:sd", "--resolution", "32"),
        *("--image-column", "png", "--caption-column", "caption"),
    ).out
    assert "4 pictures in" in said
    assert "2 were left out" in said
    lines = [json.loads(line) for line in (out / "shard-00000.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines if "left_out" in line] == ["0.tar 0001", "0.tar 0004"]
    said = called("data", "check", out, "--resolution", "32").out
    assert "4 pictures of 32 pixels, encoded for tiny:sd" in said
    assert "2 were left out" in said


def test_held_out_samples_of_shards_are_not_trained_on(shards):
    config = data_of(shards, held_out=0.25)
    trained, held = open_pictures(config), open_held_out(config, 3)
    assert (len(trained), len(held)) == (COUNT - COUNT // 4, 3)
    assert not set(trained.largest.places) & set(held.largest.places)
    assert open_held_out(data_of(shards), 3) is None


def test_shapes_have_the_pixels_of_the_square_and_the_sides_that_a_model_needs():
    options = CacheOptions(out="x", backbone="tiny:sd", buckets=True, data=DataConfig("x", resolution=512))
    shapes = shapes_of(options, 64)
    assert {(512, 512), (704, 320), (384, 640)} <= {*shapes} | {(704, 320), (384, 640)}
    for width, height in shapes:
        assert width % 64 == height % 64 == 0
        assert 0.75 * 512**2 < width * height <= 512**2
        assert 0.5 <= width / height <= 2
    assert nearest(shapes, 1000, 1000) == (512, 512)
    assert nearest(shapes, 1600, 900)[0] > nearest(shapes, 1600, 900)[1]
    with pytest.raises(UserError, match="multiples of 64"):
        shapes_of(replace(options, data=DataConfig("x", resolution=500)), 64)


def test_an_update_has_pictures_of_one_shape_and_an_epoch_has_all(buckets):
    made = objective_of()
    batches = made.batches(open_pictures(data_of(buckets)), 2, 0, CPU)
    groups = batches.pictures.groups
    assert len(groups) == 3
    assert sum(map(len, groups)) == COUNT
    turns = sum(-(-len(group) // 4) for group in groups)
    seen = {group.shape: set() for group in groups}
    for update in range(turns):
        group, whole = batches.due(update, 4)
        seen[group.shape] |= set(whole.tolist())
    assert {shape: len(places) for shape, places in seen.items()} == {group.shape: len(group) for group in groups}
    shapes = {batches(update, process, 2).latents.shape for update in range(turns) for process in range(2)}
    assert len(shapes) == 3
    one = [batches(0, process, 2).latents.shape for process in range(2)]
    assert one[0] == one[1]
    assert [batches.due(u, 4)[0].shape for u in range(turns)] != [
        batches.due(u, 4)[0].shape for u in range(turns, 2 * turns)
    ]


def test_a_backbone_trains_on_pictures_of_several_shapes(buckets):
    made = objective_of(tune="full", sampling_steps=(1,))
    batches = made.batches(open_pictures(data_of(buckets)), 2, 0, CPU)
    for update in range(6):
        batch = batches(update)
        outcome = made(batch, UpdateSeeds(0, update))
        assert torch.isfinite(outcome.total())
    outcome.total().backward()
    assert made.preview(made.model, batches.preview(4)).shape[1] == 3
