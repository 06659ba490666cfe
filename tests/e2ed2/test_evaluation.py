"""Figures without people: what they say on cases whose answer is known."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import e2ed2.evaluation.emoji as emoji
import e2ed2.evaluation.generators as generators
from e2ed2.cli import unique_names
from e2ed2.data.config import DataConfig
from e2ed2.data.pictures import load_pictures, to_tensor
from e2ed2.errors import UserError
from e2ed2.evaluation.config import Evaluate
from e2ed2.evaluation.emoji import chosen, drawings, prompts_of
from e2ed2.evaluation.features.held_out import SIZE, HeldOutEncoder, deepest, fingerprint
from e2ed2.evaluation.generators import load_generator, sample_all
from e2ed2.evaluation.judges import distances
from e2ed2.evaluation.metrics.diversity import diversity_ratio
from e2ed2.evaluation.metrics.nearest import nearest_distance
from e2ed2.evaluation.metrics.retrieval import RetrievalHead, align, fit_head, load_head
from e2ed2.evaluation.results import prompts_label
from e2ed2.evaluation.run import evaluate
from e2ed2.inference.request import Request
from e2ed2.inference.sampling import load, sample_image
from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import save_model

from .conftest import TINY_DENOISER


@pytest.fixture(scope="module")
def encoder():
    return HeldOutEncoder()


@pytest.fixture(scope="module")
def few(parquet):
    return load_pictures(DataConfig(path=str(parquet), resolution=32))


def test_a_set_has_no_distance_to_itself_and_more_to_noise_than_to_its_half():
    features = torch.randn(200, 128, generator=torch.Generator().manual_seed(0))
    same, half, far = (values(distances(x, features)) for x in (features, features[:100], features + 3))
    assert abs(same["fd"]) < 1e-3
    assert same["precision"] == same["recall"] == 1
    assert same["fd"] < half["fd"] < far["fd"]
    assert far["kid"] > half["kid"]
    scaled = values(distances(7 * (features + 3), 7 * features))
    assert scaled == pytest.approx(far, rel=1e-3)  # no unit of the encoder's own


def values(figures):
    return {key.removeprefix("distance."): figure.value for key, figure in figures.items()}


def test_copies_have_no_variety_and_the_drawings_themselves_have_all_of_it(encoder, few):
    groups = [few.images[:3], few.images[3:6]]
    assert diversity_ratio(encoder, [np.stack([group[0]] * 3) for group in groups], groups) == pytest.approx(
        0, abs=1e-6
    )
    assert diversity_ratio(encoder, groups, groups) == pytest.approx(1)


def test_a_training_drawing_is_its_own_nearest(encoder, few):
    features = deepest(encoder.of(few.images))
    assert nearest_distance(encoder, few.images[:4], features[:4], few.images, features) == pytest.approx(0, abs=1e-6)
    others = nearest_distance(encoder, few.images[:4], features[:4], few.images[4:], features[4:])
    assert others > 0.01


def test_the_head_learns_which_feature_means_which_name():
    generator = torch.Generator().manual_seed(0)
    names = torch.nn.functional.normalize(torch.randn(8, 384, generator=generator), dim=-1)
    concepts, styles = torch.arange(160) % 8, torch.arange(160) % 6
    features = torch.randn(160, SIZE, generator=generator)
    features[torch.arange(160), concepts] += 8
    features[torch.arange(160), 20 + styles] += 8
    right = torch.nn.functional.one_hot(concepts, 8).bool()
    result = align(fit_head(features, concepts, styles, names), features, right, styles, names)
    assert result["top1"].value > 0.9
    assert result["top5"].value >= result["top1"].value
    assert result["style"].value > 0.9
    guess = align(RetrievalHead(), features, right, None, names)
    assert guess["top1"].value < 0.5
    any_will_do = align(RetrievalHead(), features, torch.ones_like(right), None, names)
    assert any_will_do["top1"].value == 1
    assert "style" not in guess


@pytest.mark.slow
def test_the_bundled_head_knows_real_drawings_it_has_not_seen(encoder):
    names = emoji.concept_names()
    pictures = drawings("combo")
    rows = np.arange(0, len(pictures), 12)
    concepts = torch.tensor([names.index(pictures.captions[i]) for i in rows])
    features = encoder.of(pictures.images[rows])
    right = torch.nn.functional.one_hot(concepts, len(names)).bool()
    assert align(load_head(), features, right, None, MiniLM()(names).pooled)["top1"].value > 0.15


@pytest.mark.parametrize("split", [pytest.param("train", marks=pytest.mark.slow), "combo"])
def test_what_is_shipped_of_the_real_drawings_is_what_would_be_computed(encoder, split, monkeypatch):
    images = drawings(split).images
    rows = np.arange(0, len(images), len(images) // 3)
    monkeypatch.setattr(encoder, "_all", lambda *given: pytest.fail("nothing is to be computed"))
    shipped = encoder.deepest_of(images)
    assert shipped.shape == (len(images), 512)
    computed = deepest(encoder(to_tensor(images[rows])))
    assert torch.allclose(shipped[rows], computed, rtol=2e-3, atol=1e-3)


def test_other_pictures_than_the_shipped_are_computed_and_kept(encoder, few, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    images = few.images[:3]
    changed = images.copy()
    changed[1, 5, 5, 0] ^= 1
    file = tmp_path / "shipped.safetensors"
    save_file({fingerprint(images): torch.ones(3, 512).half()}, file)
    assert encoder.deepest_of(images, shipped=file).unique().tolist() == [1]
    found = encoder.deepest_of(changed, shipped=file)
    assert torch.allclose(found, deepest(encoder(to_tensor(changed))), rtol=2e-3, atol=1e-3)
    monkeypatch.setattr(encoder, "_all", lambda *given: pytest.fail("it is kept"))
    assert torch.equal(found, encoder.deepest_of(changed, shipped=file))
    assert fingerprint(images.reshape(3, 16, 64, 3)) != fingerprint(images)


@pytest.mark.slow  # of the bundled drawings, all of which are read
def test_visitors_prompts_are_a_hundred_and_no_training_caption():
    from e2ed2.data.captions import caption_texts

    prompts = prompts_of("visitor", 1000)
    plain, styled = caption_texts(drawings("train"))
    training = {text.lower() for texts in plain + styled for text in texts}
    assert len({prompt.text for prompt in prompts}) == 100
    assert not training & {prompt.text.lower() for prompt in prompts}
    assert {prompt.concept for prompt in prompts} <= set(emoji.concept_names())


def test_prompts_are_the_same_for_the_same_seed_and_mistakes_are_told():
    assert prompts_of("combo", 5, seed=1) == prompts_of("combo", 5, seed=1) != prompts_of("combo", 5, seed=2)
    with pytest.raises(UserError, match="visitor"):
        prompts_of("validation", 5)
    with pytest.raises(UserError, match="at least 1"):
        prompts_of("combo", 0)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where what was computed of the drawings is kept from one test to the next."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def small(few, home, tmp_path, monkeypatch):
    """The bundled benchmark on a few drawings; nothing of the person's own is read or written."""
    monkeypatch.setenv("E2ED2_DATA", str(home))
    shown = replace(few, captions=["red apple"] * 6 + ["cat face"] * 6 + few.captions[12:])
    monkeypatch.setattr(emoji, "drawings", lambda split: shown)
    prompts = [prompt for split in emoji.WORDS for prompt in prompts_of(split, 100)]
    names = sorted({name for prompt in prompts for name in (prompt.concept, *prompt.others)})
    monkeypatch.setattr(emoji, "concept_names", lambda: names)
    return Evaluate(steps=1, split="visitor", captions=4, variety=2, nearest=2, out=tmp_path / "a.json")


def test_evaluation_is_deterministic_and_goes_on_where_it_stopped(tiny_model, small, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path / "home"))
    options = replace(small, model=str(tiny_model))
    first = evaluate(options)
    sampled = sorted((tmp_path / "home" / "runs").rglob("*.png"))
    assert len(sampled) == 4 + 8
    sampled[0].unlink()
    sizes, call = [], generators.OurModel.__call__
    monkeypatch.setattr(generators.OurModel, "__call__", lambda *given: sizes.append(len(given[1])) or call(*given))
    monkeypatch.setattr("e2ed2.evaluation.run.cost", lambda call: {})
    second = evaluate(replace(options, out=tmp_path / "b.json"))
    assert sizes in ([4], [8])  # the batch in which one is missing, and no other
    for group in ("distance", "alignment", "diversity_ratio", "nearest_training_lpips"):
        assert first[group] == second[group]
    written = json.loads((tmp_path / "a.json").read_text())
    assert written["choices"]["images"] == 4
    assert written["cost"]["gflop"] > 0
    assert written["settings"]["captions"] == 4
    assert {"distance.fd", "distance.kid", "alignment.top1", "alignment.top5"} == written["intervals"].keys()
    low, high = written["intervals"]["distance.kid"]
    assert low < written["distance"]["kid"] < high


def test_pictures_in_batches_are_those_of_the_pages_but_for_rounding(tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    prompts, seeds = ["red apple, noto style", "a very happy cat on a green hill", "house"], [3, 4, 5]
    batch = sample_all(load_generator("l2-lpips", 2), prompts, seeds, 128)
    pipeline = load("l2-lpips")
    for image, prompt, seed in zip(batch, prompts, seeds, strict=True):
        alone = np.asarray(sample_image(pipeline, Request(prompt, "l2-lpips", 2, seed)))
        assert np.abs(image.astype(int) - alone).max() <= 1


def test_a_reader_stands_between_the_prompt_and_the_model(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    model = load_generator(str(tiny_model), 1)

    def read_with(prompt, seeds):
        return [f"{prompt} read with {seed}" for seed in seeds]

    read = sample_all(model, ["kitty", "kitty"], [1, 2], 32, read=read_with)
    assert np.array_equal(read, sample_all(model, ["kitty read with 1", "kitty read with 2"], [1, 2], 32))
    assert np.array_equal(read, sample_all(model, ["kitty"], [1, 2], 32, read=read_with))
    assert not np.array_equal(read, sample_all(model, ["kitty", "kitty"], [1, 2], 32))


def test_figures_are_of_what_was_asked_not_of_what_was_read(tiny_model, small, monkeypatch):
    options = replace(small, model=str(tiny_model), variety=0, nearest=0)
    monkeypatch.setattr("e2ed2.evaluation.run.cost", lambda call: {})
    concepts = []
    monkeypatch.setattr(
        "e2ed2.evaluation.judges.align", lambda *given: concepts.append(given[2].tolist()) or align(*given)
    )
    exact = evaluate(options)
    read = evaluate(options, read=lambda prompt, seeds: ["red apple, noto style"] * len(seeds))
    assert concepts[0] == concepts[1]
    assert read["distance"] != exact["distance"]


@pytest.mark.slow
def test_a_model_is_given_what_its_pages_would_give_it(tiny_model, small, monkeypatch):
    """And judged by every thing that the prompt may mean."""
    given, right = [], []

    def white(self, texts, seeds):
        given.extend(texts)
        return [Image.new("RGB", (32, 32))] * len(texts)

    monkeypatch.setattr(generators.OurModel, "__call__", white)
    monkeypatch.setattr("e2ed2.evaluation.judges.align", lambda *said: right.append(said[2]) or align(*said))
    options = replace(small, model=str(tiny_model), split="everyday", captions=100, read=True, variety=0, nearest=0)
    result = evaluate(options)
    captions = dict(zip([prompt.text for prompt in prompts_of("everyday", 100)], given[:100], strict=True))
    assert captions["kitty"] == "cat face, flat style"
    assert all(text.endswith(" style") or text == prompt for prompt, text in captions.items())
    assert right[0].sum(dim=1).max() > 1
    assert prompts_label(result["settings"]) == "everyday, read"


def test_only_what_learned_the_captions_is_read_to(any_pipeline, tiny_model, small, tmp_path):
    with pytest.raises(UserError, match="leave --read out"):
        evaluate(replace(small, model=str(any_pipeline), read=True))
    with pytest.raises(UserError, match="--read is for models"):
        replace(small, images=str(tmp_path), read=True)
    own = tmp_path / "own"
    shutil.copytree(tiny_model, own)
    (own / "run.json").write_text(json.dumps({"config": {"data": {"path": "photos"}}}))
    with pytest.raises(UserError, match="leave --read out"):
        evaluate(replace(small, model=str(own), read=True))


def test_what_lies_beside_a_model_changes_its_fingerprint_only_where_it_is_shared(tiny_model, tmp_path):
    model = tmp_path / "mine"
    shutil.copytree(tiny_model, model)
    before = generators.fingerprint(model, 1)
    for name, differs in (("reader", False), ("codec", True)):
        (tmp_path / name).mkdir()
        (tmp_path / name / generators.WEIGHTS).write_bytes(b"other weights")
        assert (generators.fingerprint(model, 1) != before) == differs


def test_a_training_by_its_name_is_known_by_its_weights(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("E2ED2_RUNS", str(tmp_path))
    shutil.copytree(tiny_model, tmp_path / "mine" / "model")
    before = load_generator("mine", 1).fingerprint
    assert before == generators.fingerprint(tmp_path / "mine" / "model", 1)
    save_model(build_denoiser(TINY_DENOISER), tmp_path / "mine" / "model" / "denoiser")
    generators.digest.cache_clear()
    assert load_generator("mine", 1).fingerprint != before


@pytest.fixture(scope="session")
def any_pipeline(tmp_path_factory):
    """A Stable Diffusion of a few thousand random weights, as diffusers writes it."""
    folder = tmp_path_factory.mktemp("pipelines") / "tiny-sd"
    letters = [*"abcdefghijklmnopqrstuvwxyz,"]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "words").mkdir(parents=True)
    (folder / "words" / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "words" / "merges.txt").write_text("#version: 0.2\n")
    files = (str(folder / "words" / name) for name in ("vocab.json", "merges.txt"))
    tokenizer = CLIPTokenizer(*files, model_max_length=16)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokens = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1, "max_position_embeddings": 16}
    torch.manual_seed(0)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=len(words), **sizes, **tokens))
    unet = UNet2DConditionModel(
        sample_size=16,
        layers_per_block=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=16,
        attention_head_dim=2,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        sample_size=32,
    )
    scheduler = DDIMScheduler(clip_sample=False, steps_offset=1)
    parts = (vae, text, tokenizer, unet, scheduler, None, None)
    StableDiffusionPipeline(*parts, requires_safety_checker=False).save_pretrained(folder)
    return folder


def test_any_pipeline_of_diffusers_is_judged_like_ours(any_pipeline, small, called, monkeypatch):
    result = evaluate(replace(small, model=str(any_pipeline), variety=0, nearest=0))
    assert result["choices"]["images"] == 4
    assert result["choices"]["weights"].startswith("tiny-sd-1-")
    one, other = load_generator(str(any_pipeline), 1)(["red apple", "red apple"], [1, 2])
    assert np.asarray(one).any()
    assert np.asarray(one).tolist() != np.asarray(other).tolist()


def test_a_pipeline_that_reads_no_prompt_is_refused(any_pipeline, tmp_path, called):
    unet = UNet2DModel(
        sample_size=8, block_out_channels=(32,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",)
    )
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path / "ddpm")
    assert "takes no prompt" in called("evaluate", tmp_path / "ddpm", code=2).err
    shutil.copytree(any_pipeline, tmp_path / "broken")
    (tmp_path / "broken" / "model_index.json").write_text("{")
    assert "cannot be loaded as a diffusers pipeline" in called("evaluate", tmp_path / "broken", code=2).err


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of pictures made elsewhere: five of prompts of the split `visitor`, one of none."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    prompts = [prompt.text for prompt in prompts_of("visitor", 5)]
    lines = ["file_name\tprompt"]
    for number, prompt in enumerate([*prompts, "an invoice"]):
        Image.effect_mandelbrot((40, 48), (-2, -1.5, 1, 1.5), 10 + number).convert("RGB").save(folder / f"{number}.png")
        lines.append(f"{number}.png\t{prompt}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    return folder


def test_pictures_made_elsewhere_are_judged(elsewhere, small, capsys):
    result = evaluate(replace(small, images=str(elsewhere), captions=4))
    assert result["choices"]["images"] == 5
    assert (result["settings"]["model"], result["settings"]["steps"]) == ("elsewhere", 0)
    assert result["alignment"]["top1"] is not None
    assert result["nearest_training_lpips"] > 0
    assert result["diversity_ratio"] is None  # a folder cannot be asked for more
    assert result["cost"] == {}
    said = capsys.readouterr().out
    assert "1 of 6" in said
    assert "an invoice" in said


@pytest.mark.slow
def test_another_model_can_be_asked_what_ours_are_asked(small, called, tmp_path):
    words = ("--split", "visitor", "--captions", 6, "--seed", 3, "--variety", 0, "--nearest", 0)
    called("evaluate", *words, "--prompts-to", tmp_path / "theirs")
    table = list(csv.DictReader((tmp_path / "theirs" / "metadata.csv").open()))
    assert [row["prompt"] for row in table] == [prompt.text for prompt in prompts_of("visitor", 6, seed=3)]
    assert [row["seed"] for row in table] == ["3", "4", "5", "6", "7", "8"]
    for row in table:
        Image.new("RGB", (32, 32), (int(row["seed"]) * 20, 90, 90)).save(tmp_path / "theirs" / row["file_name"])
    assert evaluate(replace(small, images=str(tmp_path / "theirs"), nearest=0))["choices"]["images"] == 6
    assert "already" in called("evaluate", *words, "--prompts-to", tmp_path / "theirs", code=2).err


@pytest.mark.slow
def test_what_sample_writes_can_be_judged(elsewhere, small):
    lines = [line.split("\t") for line in (elsewhere / "metadata.csv").read_text().splitlines()[1:]]
    (elsewhere / "metadata.csv").unlink()
    (elsewhere / "manifest.jsonl").write_text("".join(json.dumps({"file": f, "prompt": p}) + "\n" for f, p in lines))
    assert evaluate(replace(small, images=str(elsewhere), nearest=0))["choices"]["images"] == 5


@pytest.mark.slow
def test_ones_own_pictures_are_compared_with_and_what_is_left_out_is_said(tiny_model, parquet, small, called):
    data = DataConfig(path=str(parquet), resolution=32)
    own = evaluate(replace(small, model=str(tiny_model), data=data, captions=6))
    assert own["settings"]["split"] == str(parquet)
    assert own["choices"]["real"] == 48
    assert own["distance"]["fd"] > 0
    assert own["alignment"] == {}
    words = (
        "--data",
        parquet,
        "--data.resolution",
        32,
        "--captions",
        4,
        "--steps",
        1,
        "--nearest",
        0,
        "--out",
        small.out,
    )
    said = called("evaluate", tiny_model, *words).out
    assert "bundled drawings only" in said


@pytest.mark.slow
def test_several_models_are_measured_each_into_its_file(tiny_model, small, called, tmp_path):
    words = (
        "--split",
        "visitor",
        "--steps",
        1,
        "--captions",
        4,
        "--variety",
        0,
        "--nearest",
        0,
        "--out",
        tmp_path / "all",
    )
    called("evaluate", tiny_model, "--model", tiny_model, *words)
    assert [file.name for file in (tmp_path / "all").iterdir()] == ["tiny-1-visitor.json"]


def test_models_whose_folders_are_called_alike_have_files_of_their_own():
    assert unique_names(["runs/a/model", "l2", "runs/b/model", "model-2"]) == ["model", "l2", "model-2", "model-2-2"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: shutil.rmtree(folder), "There is no folder"),
        (lambda folder: (folder / "metadata.csv").unlink(), "no picture with a caption"),
        (lambda folder: (folder / "metadata.csv").write_text("file_name,title\n0.png,cat\n"), "no column prompt"),
        (lambda folder: (folder / "metadata.csv").write_text("file_name,prompt\n0.png,cat\n1.png,\n"), "1.png"),
        (lambda folder: (folder / "metadata.csv").write_text("file_name,prompt\n0.png,cat\n"), "at least 4"),
        (lambda folder: (folder / "0.png").write_text("no picture"), "0.png cannot be read"),
        (lambda folder: (folder / "manifest.jsonl").write_text('{"prompt": "cat"}'), "line 1 of manifest.jsonl"),
    ],
)
def test_a_folder_that_cannot_be_judged_is_one_sentence(elsewhere, small, called, spoil, words):
    spoil(elsewhere)
    said = called("evaluate", "--images", elsewhere, "--split", "visitor", code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_prompts_are_of_the_drawings_that_the_seed_chooses():
    real = drawings("combo")
    assert [prompt.concept for prompt in prompts_of("combo", 9, seed=3)] == [
        real.captions[row] for row in chosen(len(real), 9, seed=3)
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("l2", "--captions", 3), "at least 4"),
        (("--model", "l2", "--limit", 3), "at least 4"),
        (("l2", "--steps", 0), "choose 1 to 50"),
        (("nobody",), "No model 'nobody'"),
        ((), "Name a model"),
        (("l2", "--data=nowhere"), "No pictures at nowhere"),
        (("l2", "--images", "folder"), "leave one of them out"),
    ],
)
def test_a_mistake_is_said_in_one_sentence_before_anything_is_sampled(called, arguments, words):
    said = called("evaluate", *arguments, code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1
