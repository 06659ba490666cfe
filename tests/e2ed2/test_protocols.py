"""The benchmarks of the field, whole, on a miniature set with random weights."""

import hashlib
import json
import re
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from e2ed2.data.caption_hashes import write_hashes
from e2ed2.data.pictures import Pictures
from e2ed2.errors import UserError
from e2ed2.evaluation.generators import load_generator
from e2ed2.evaluation.metrics.frechet import Gaussian
from e2ed2.evaluation.protocols import choices, inception, run
from e2ed2.evaluation.protocols.choices import protocol_of, sampling_of
from e2ed2.evaluation.protocols.clip_score import ClipScore
from e2ed2.evaluation.protocols.config import BENCHMARKS, CLIP, INCEPTION, Protocol
from e2ed2.evaluation.protocols.files import find_files
from e2ed2.evaluation.protocols.inception import Inception, clean, layers_of, square
from e2ed2.evaluation.protocols.run import measure
from e2ed2.models.backbones.tiny import _clip_tokenizer, tiny_pipeline

PROMPTS = ["a red apple", "a blue dog", "two cats", "a house"]


def picture(seed: int, size=(40, 33)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / CLIP
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = sizes | {"vocab_size": 200, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = sizes | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    _clip_tokenizer().save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def benchmark(tmp_path, clip_folder, monkeypatch):
    """A folder as coco30k needs it, but small; a stand-in for Inception's layers."""
    folder = tmp_path / "coco"
    (folder / "val2014" / "more").mkdir(parents=True)
    (folder / "captions.txt").write_text("\n".join(PROMPTS) + "\n")
    for seed in range(5):
        picture(seed).save(folder / "val2014" / ("more" if seed % 2 else ".") / f"{seed}.png")
    weights = b"stand-in"
    (folder / f"weights-inception-{hashlib.sha256(weights).hexdigest()[:8]}.pth").write_bytes(weights)
    (folder / CLIP).symlink_to(clip_folder)
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    monkeypatch.setattr(inception, "layers_of", lambda weights: layers)
    monkeypatch.setenv("E2ED2_RUNS", str(tmp_path / "runs"))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-sd"
    tiny_pipeline("sd").save_pretrained(folder)
    return folder


def test_a_model_goes_through_the_whole_protocol_and_its_file_says_every_choice(benchmark, model, called, tmp_path):
    out = tmp_path / "found.json"
    command = ("evaluate", model, "--benchmark", "coco30k", "--data", benchmark, "--limit", 4, "--out", out)
    printed = called(*command, "--steps", 1, "--guidance", 1).out
    assert "not to be compared with coco30k" in printed
    assert "distance.fid" in printed
    found = json.loads(out.read_text())
    assert found["distance"]["fid"] > 0
    assert -1 <= found["alignment"][CLIP] <= 1
    assert len(found["intervals"][f"alignment.{CLIP}"]) == 2
    choices = found["choices"]
    assert choices["protocol"].startswith("coco30k-clean-256-rehearsal-4-")
    assert (choices["images"], choices["real"], choices["side"], choices["guidance"]) == (4, 5, 256, 1.0)
    hashes = [*(choices[name] for name in ("references", "prompts", "inception", "pictures")), choices["clip"][CLIP]]
    assert all(len(one) == 64 for one in hashes)
    assert "tiny-sd-1-" in choices["weights"]
    assert choices["call"] == {"num_inference_steps": 1, "guidance_scale": 1.0}
    assert choices["scheduler"]["_class_name"] == "DDIMScheduler"
    assert choices["scheduler"]["timestep_spacing"] == "leading"
    assert (choices["precision"], choices["device"], choices["sizes"]) == ("float32", "cpu", [[32, 32]] * 2)
    assert found["settings"]["split"] == "coco30k"


def test_a_model_that_was_trained_on_the_prompts_is_not_called_zero_shot(benchmark, model, tmp_path):
    copytree(model, tmp_path / "trained")
    write_hashes(Pictures(np.zeros((2, 8, 8, 3), np.uint8), ["A red apple.", "a tree"]), tmp_path / "trained")
    options = Protocol("coco30k", benchmark, str(tmp_path / "trained"), limit=4)
    files = find_files(options)[0]
    told = run.notes_of(options, files)
    assert told["prompts_trained_on"] == 1
    assert told["left_out"].endswith("The model was trained on 1 of the 4 prompts: this is not zero-shot.")
    told = run.notes_of(replace(options, model=str(model)), files)
    assert told["prompts_trained_on"] is None
    assert "zero-shot" not in told["left_out"]


def test_parts_sampled_apart_are_measured_together(benchmark, model, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "BATCH", 2)
    usual = {"benchmark": "coco30k", "data": benchmark, "model": str(model), "limit": 4, "steps": 1}
    whole = Protocol(**usual, out=tmp_path / "whole.json")
    for shard in ("0/2", "1/2"):
        assert measure(Protocol(**usual, shard=shard, out=tmp_path / "none.json")) is None
    assert not (tmp_path / "none.json").exists()
    assert len(list((tmp_path / "runs").rglob("*.png"))) == 4
    with monkeypatch.context() as patch:  # nothing is sampled again
        patch.setattr("e2ed2.inference.stock.StockPipeline.__call__", lambda *given: pytest.fail("sampled twice"))
        assert measure(whole)["choices"]["images"] == 4


def test_pictures_made_elsewhere_are_found_by_their_prompts(benchmark, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    lines = [f'{i}.png,"{prompt}"' for i, prompt in enumerate(reversed(PROMPTS))]
    (folder / "metadata.csv").write_text("\n".join(["file_name,prompt", *lines]))
    for i in range(4):
        picture(10 + i).save(folder / f"{i}.png")
    options = Protocol("coco30k", benchmark, images=str(folder), limit=4, out=tmp_path / "made.json")
    assert run.jobs_of(run.subject_of(options), PROMPTS) == list(zip(PROMPTS, (3, 2, 1, 0), strict=True))
    choices = measure(options)["choices"]
    assert choices["images"] == 4
    assert choices["sizes"] == [[40, 33]] * 2
    unknown = ("seeds", "guidance", "call", "scheduler", "precision", "device")
    assert [choices[name] for name in unknown] == [None] * 6
    picture(14).save(folder / "3.png")
    assert measure(options)["choices"]["pictures"] != choices["pictures"]
    with pytest.raises(UserError, match="too few pictures of “a red apple”"):
        run.jobs_of(run.subject_of(options), [*PROMPTS, PROMPTS[0]])


def test_the_same_pictures_are_no_distance_apart(benchmark, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    files = sorted((benchmark / "val2014").rglob("*.png"))[:4]
    for file in (benchmark / "val2014").rglob("*.png"):
        if file not in files:
            file.unlink()
    lines = [f'{file.name},"{prompt}"' for file, prompt in zip(files, PROMPTS, strict=True)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,prompt", *lines]))
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    options = Protocol("coco30k", benchmark, images=str(folder), limit=4, out=tmp_path / "same.json")
    assert measure(options)["distance"]["fid"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("captions.txt", r"captions\.txt is missing: put there the 30,000 captions of COCO"),
        ("val2014", "val2014 is missing: put there all 40,504 pictures"),
        ("weights", f"{INCEPTION} is missing: put there FID's Inception, .*github"),
        (CLIP, "clip-vit-base-patch32 is missing: .*openai"),
    ],
)
def test_what_is_missing_is_said_with_where_it_goes(benchmark, missing, told):
    place = next(benchmark.glob(f"{missing}*"))
    place.rename(benchmark / "gone")
    with pytest.raises(UserError, match=told):
        find_files(Protocol("coco30k", benchmark, "l2", limit=4))


def test_all_that_is_missing_is_said_at_once_a_bad_model_too_and_no_folder_is_made(tmp_path, called):
    out = tmp_path / "new" / "found.json"
    command = ("evaluate", "nowhere", "--benchmark", "coco30k", "--data", tmp_path, "--out", out)
    told = called(*command, code=2).err.splitlines()
    assert told[0] == "5 things are to be done first:"
    for line, part in zip(told[1:], ("captions.txt", "val2014", "weights-inception", CLIP, "nowhere"), strict=True):
        assert line.startswith("- ")
        assert part in line
    assert not out.parent.exists()


@pytest.fixture
def miniature(monkeypatch):
    """A benchmark that has four prompts and five pictures."""
    monkeypatch.setitem(BENCHMARKS, "coco30k", replace(BENCHMARKS["coco30k"], prompts=4, pictures=5))


def test_references_are_counted(benchmark, miniature):
    find_files(Protocol("coco30k", benchmark, "l2"))
    (benchmark / "val2014" / "0.png").unlink()
    with pytest.raises(UserError, match="val2014 has 4 pictures, and coco30k compares with 5: put there all"):
        find_files(Protocol("coco30k", benchmark, "l2"))
    rehearsal = Protocol("coco30k", benchmark, "l2", limit=4)
    assert "-rehearsal-4-" in protocol_of(rehearsal, find_files(rehearsal)[0])["protocol"]


def test_the_benchmarks_have_the_pictures_that_they_are_known_for():
    assert [(one.prompts, one.pictures) for one in BENCHMARKS.values()] == [(30_000, 40_504), (30_000, 30_000), (0, 0)]


def another_caption(folder):
    (folder / "captions.txt").write_text("\n".join([*PROMPTS[1:], "a tree"]))


def another_picture_of_that_name_and_size(folder):
    file = folder / "val2014" / "0.png"
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)


def another_network(folder):
    next(folder.glob("weights*")).unlink()
    (folder / f"weights-inception-{hashlib.sha256(b'other').hexdigest()[:8]}.pth").write_bytes(b"other")


def a_second_clip(folder):
    (folder / "clip-second").symlink_to(folder / CLIP)


def another_clip(folder):
    (folder / CLIP).unlink()
    (folder / CLIP).mkdir()
    (folder / CLIP / "config.json").write_text("{}")


CHANGES = (another_caption, another_picture_of_that_name_and_size, another_network, a_second_clip, another_clip)


@pytest.mark.parametrize("change", CHANGES)
def test_the_protocols_id_changes_with_each_of_its_files(benchmark, miniature, change):
    def named() -> str:
        options = Protocol("coco30k", benchmark, "l2")
        return protocol_of(options, find_files(options)[0])["protocol"]

    before = named()
    assert re.fullmatch("coco30k-clean-256-[0-9a-f]{12}", before)
    assert named() == before
    change(benchmark)
    assert named() != before


def test_the_protocols_id_changes_with_each_of_its_choices_and_not_with_the_models(benchmark, miniature, monkeypatch):
    def named(name: str = "coco30k", **given) -> str:
        options = Protocol(name, benchmark, **{"model": "l2"} | given)
        return protocol_of(options, find_files(options)[0])["protocol"]

    whole = named()
    assert {named(steps=1), named(guidance=3.0), named(model="l1"), named(seed=7), named(label="x")} == {whole}
    (benchmark / "references").symlink_to(benchmark / "val2014")
    others = [named("hw30k"), named(limit=4), named(limit=3)]
    monkeypatch.setitem(BENCHMARKS, "coco30k", replace(BENCHMARKS["coco30k"], side=512))
    others.append(named())
    monkeypatch.setattr(choices, "PREFIX", "")
    others.append(named())
    assert len({whole, *others}) == 6


def test_guidance_is_a_number_that_was_used_or_there_is_none(tiny_model, model):
    sampled = [sampling_of(load_generator(str(one), 2), 3) for one in (tiny_model, model)]
    assert [one["guidance"] for one in sampled] == ["none", 7.5]
    assert all(one["seeds"].startswith("3 +") for one in sampled)
    assert all(one["precision"] == "float32" for one in sampled)


def test_clip_in_half_precision_is_reckoned_with_in_float32(clip_folder, tmp_path):
    copytree(clip_folder, tmp_path / "half")
    CLIPModel.from_pretrained(clip_folder).half().save_pretrained(tmp_path / "half")
    score = ClipScore(tmp_path / "half", torch.device("cpu"))
    assert {weights.dtype for weights in score.model.parameters()} == {torch.float32}


def test_an_incomplete_set_or_a_damaged_file_is_refused(benchmark):
    with pytest.raises(UserError, match="has 4 prompts, and coco30k has 30,000: put there"):
        find_files(Protocol("coco30k", benchmark, "l2"))
    for data, told in ((b"\xff\xfe caption", "cannot be read: give a text file in UTF-8"), (b"\n", "has no prompt")):
        (benchmark / "captions.txt").write_bytes(data)
        with pytest.raises(UserError, match=told):
            find_files(Protocol("hw30k", benchmark, "l2"))
    (benchmark / "captions.txt").write_text("\n".join(PROMPTS))
    weights = next(benchmark.glob("weights*"))
    weights.write_bytes(b"other")
    with pytest.raises(UserError, match="damaged, or another file"):
        find_files(Protocol("coco30k", benchmark, "l2", limit=4))


@pytest.mark.parametrize(
    ("captions", "told"),
    [(b"", "has no prompt"), (b"\n \n", "has no prompt"), (b"one\n", "2 or more"), (b"caf\xe9\na\n", "in UTF-8")],
)
def test_captions_that_no_distance_can_be_of_are_refused(benchmark, captions, told):
    (benchmark / "captions.txt").write_bytes(captions)
    for options in (Protocol("coco30k", benchmark, "l2", limit=4), Protocol("coco30k", benchmark, "l2", limit=2)):
        with pytest.raises(UserError, match=told):
            find_files(options)


def test_a_file_that_cannot_be_written_is_told_before_the_work(benchmark, model, monkeypatch):
    monkeypatch.setattr(run, "load_generator", lambda *given: pytest.fail("loaded a model"))
    with pytest.raises(UserError, match="is a folder: name a file"):
        measure(Protocol("coco30k", benchmark, str(model), limit=4, out=benchmark))
    with pytest.raises(UserError, match="is a file: choose another --out"):
        measure(Protocol("coco30k", benchmark, str(model), limit=4, out=benchmark / "captions.txt" / "a" / "b.json"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": -1}, "Seed -1 is out of range"),
        ({"seed": 10**20}, "out of range"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance": float("inf")}, "guidance is inf"),
        ({"guidance": -2.0}, "guidance is -2"),
        ({"model": ""}, "one of the two"),
        ({"images": "x"}, "one of the two"),
        ({"steps": 0}, "steps are not possible"),
        ({"limit": 1}, "--limit 2"),
        ({"shard": "4/4"}, "is none"),
        ({"model": "", "images": "x", "guidance": 2.0}, "are there already"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options, told):
    with pytest.raises(UserError, match=told):
        Protocol(**{"benchmark": "hw30k", "data": tmp_path, "model": "l2"} | options)


def test_both_sides_are_prepared_as_clean_fid_has_it():
    image = picture(3)
    cropped = square(image, 16)
    by_hand = image.crop((3, 0, 36, 33)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(cropped), np.asarray(by_hand))
    assert square(image, 0).size == image.size
    for channel, found in zip(range(3), clean(cropped), strict=True):
        plane = Image.fromarray(np.asarray(cropped)[..., channel].astype(np.float32))
        assert np.array_equal(np.asarray(plane.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255), found)


def test_the_distance_is_that_of_torch_fidelity():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(40, 12, generator=generator, dtype=torch.float64) * s + s for s in (1.0, 1.3))
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (one, other)), False)
    ours = Gaussian.of(other.numpy()).distance(one.numpy())
    assert ours == pytest.approx(theirs["frechet_inception_distance"], abs=1e-3)


def test_clip_score_is_the_cosine_of_both_embeddings(clip_folder):
    score = ClipScore(clip_folder, torch.device("cpu"))
    long = "very " * 60 + "old house"
    images = [picture(seed) for seed in range(2)]
    found = score(images, ["a red apple", long])
    model = score.model
    with torch.no_grad():
        seen = model.get_image_features(**score.processor(images=images[:1], return_tensors="pt"))
        read = model.get_text_features(**score.tokenizer(["A photo depicts a red apple"], return_tensors="pt"))
    seen, read = (getattr(one, "pooler_output", one) for one in (seen, read))
    assert found[0].item() == pytest.approx(torch.cosine_similarity(seen, read).item(), abs=1e-5)
    tokens = score.tokenizer([long], truncation=True, max_length=77)["input_ids"][0]
    assert tokens[-1] == score.tokenizer.eos_token_id  # what is cut keeps its end


def test_what_is_no_clip_model_is_refused(tmp_path, clip_folder):
    with pytest.raises(UserError, match="no CLIP model"):
        ClipScore(tmp_path, torch.device("cpu"))
    copytree(clip_folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UserError, match="no CLIP model"):
        ClipScore(tmp_path / "cut", torch.device("cpu"))


@pytest.mark.slow
def test_features_are_those_of_torch_fidelitys_inception(tmp_path, monkeypatch):
    """At 299 pixels its own resize does nothing."""
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.torch.load", lambda *given, **more: given[0])
    torch.manual_seed(0)
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    theirs = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path="none")
    torch.manual_seed(0)
    monkeypatch.setattr(inception, "layers_of", lambda weights: layers_of("none"))
    ours = Inception(tmp_path, torch.device("cpu"))
    images = [picture(seed, (299, 299)) for seed in range(2)]
    expected = theirs(torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in images]))[0]
    assert torch.allclose(ours(images), expected, atol=1e-4)
