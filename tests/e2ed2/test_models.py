"""Denoiser, codec, text encoder, pipeline and the folders they live in."""

import json
import shutil
import stat
from dataclasses import asdict, replace

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file

from e2ed2 import E2ED2Pipeline
from e2ed2.assets import CHECKPOINTS
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.inference.request import available_models
from e2ed2.inference.sampling import load, most_steps
from e2ed2.models.coarse_to_fine import build_denoiser, coarse_of, independent_copies
from e2ed2.models.codec import Codec
from e2ed2.models.components import WEIGHTS, digest
from e2ed2.models.config import DenoiserConfig
from e2ed2.models.minilm import MiniLM, spelt_out, weights_folder
from e2ed2.models.weights import load_coarse, load_codec, load_denoiser, save_model
from e2ed2.types import TextEmbedding

from .conftest import TINY_DENOISER


def noise(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_an_untrained_denoiser_is_its_coarse_path(text):
    denoiser = build_denoiser(TINY_DENOISER)
    z = torch.randn(3, 4, 8, 8)
    conditioning = denoiser.condition(z, text)
    assert torch.equal(denoiser(z, torch.ones(3), text, conditioning), conditioning.coarse)


def test_the_choice_read_off_white_noise_is_white(text):
    choice = build_denoiser(TINY_DENOISER).coarse.choose(torch.randn(4000, 4, 8, 8, generator=noise(0)[0]))
    assert torch.allclose(choice.T.cov(), torch.eye(4), atol=0.1)
    assert choice.mean(dim=0).abs().max() < 0.1


def test_a_one_hot_choice_is_one_of_several_equally_likely_ones_and_of_unit_size():
    denoiser = build_denoiser(TINY_DENOISER)
    denoiser.choose("one-hot")
    choice = denoiser.coarse.choose(torch.randn(4000, 4, 8, 8, generator=noise(0)[0]))
    assert ((choice > 0).sum(dim=1) == 1).all()
    assert torch.allclose((choice > 0).float().mean(dim=0), torch.full((4,), 0.25), atol=0.03)
    assert choice.square().mean().item() == pytest.approx(1)


def test_a_one_hot_choice_is_kept_with_the_weights(tmp_path):
    denoiser = build_denoiser(TINY_DENOISER)
    denoiser.choose("one-hot")
    save_model(denoiser, tmp_path / "denoiser")
    assert load_denoiser(tmp_path).coarse.choice == "one-hot"


def test_the_noise_decides_between_the_choices_that_are_kept(tmp_path, text):
    denoiser = build_denoiser(replace(TINY_DENOISER, choice="one-hot", kept=(1, 3)))
    save_model(denoiser, tmp_path / "denoiser")
    for one in (denoiser, load_denoiser(tmp_path)):
        drawn = one.coarse.choose(torch.randn(4000, 4, 8, 8, generator=noise(0)[0])) > 0
        assert torch.allclose(drawn.float().mean(dim=0), torch.tensor([0, 0.5, 0, 0.5]), atol=0.03)
    denoiser.choose("none")
    assert not denoiser.condition(torch.randn(3, 4, 8, 8), text).choice.any()
    denoiser.choose("one-hot")
    assert (denoiser.coarse.choose(torch.randn(200, 4, 8, 8, generator=noise(0)[0])) > 0).any(dim=0).all()


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"kept": (0, 4)}, "0 to 3"), ({"kept": (-1,)}, "-1"), ({"kept": (0,), "choice": "normal"}, "leave it out")],
)
def test_no_choice_is_kept_that_is_not_there(asked, told):
    with pytest.raises(UserError, match=told):
        replace(TINY_DENOISER, **{"choice": "one-hot"} | asked)


def test_without_a_choice_the_noise_decides_nothing_of_the_coarse_picture(tmp_path, text):
    denoiser = build_denoiser(TINY_DENOISER)
    denoiser.choose("none")
    first, second = (denoiser.condition(torch.randn(3, 4, 8, 8), text) for _ in range(2))
    assert not first.choice.any()
    assert torch.equal(first.coarse, second.coarse)
    save_model(denoiser, tmp_path / "denoiser")
    assert load_denoiser(tmp_path).coarse.choice == "none"


def test_padding_of_a_caption_changes_nothing(text):
    denoiser = build_denoiser(TINY_DENOISER)
    torch.nn.init.normal_(denoiser.transformers[0].out.weight)
    z = torch.randn(3, 4, 8, 8)
    together = sample(denoiser, z, text, uniform_levels(2))
    short = text[2:]
    alone = sample(denoiser, z[2:], type(text)(short.tokens[:, :2], short.mask[:, :2], short.pooled), uniform_levels(2))
    assert torch.allclose(together[2:], alone, atol=1e-5)


def test_independent_steps_cannot_take_more_steps_than_they_have(text):
    config = DenoiserConfig(
        channels=4, grid=8, width=16, depth=1, heads=2, coarse_width=32, choices=4, sharing="independent", steps=2
    )
    with pytest.raises(UserError, match="2 independent steps"):
        sample(build_denoiser(config), torch.randn(3, 4, 8, 8), text, uniform_levels(3))


def test_measured_latents_have_zero_mean_and_unit_variance(tiny_model):
    codec = load_codec(tiny_model)
    images = torch.rand(16, 3, 32, 32) * 2 - 1
    codec.measure([images])
    with torch.no_grad():
        latents = codec.encode(images)
    assert torch.allclose(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3)


def test_stable_diffusions_tiny_autoencoder_serves_as_a_codec(tmp_path):
    options = {
        "encoder_block_out_channels": [8, 8],
        "decoder_block_out_channels": [8, 8],
        "num_encoder_blocks": [1, 1],
        "num_decoder_blocks": [1, 1],
        "latent_channels": 4,
    }
    codec = Codec("AutoencoderTiny", options, latent_channels=4)
    assert isinstance(codec.autoencoder, AutoencoderTiny)
    images = torch.zeros(1, 3, 16, 16)
    assert codec.decode(codec.encode(images)).shape == images.shape


def test_an_unknown_autoencoder_is_refused():
    with pytest.raises(UserError, match="AutoencoderDC"):
        Codec("VQModel", {}, latent_channels=4)


def test_text_encoder_puts_like_things_together():
    pooled = MiniLM()(["kitten", "kitty", "fire engine"]).pooled
    assert pooled[0] @ pooled[1] > pooled[0] @ pooled[2] + 0.2


def test_a_picture_has_the_same_bytes_alone_and_in_company(tiny_model):
    pipe = E2ED2Pipeline.from_pretrained(tiny_model)
    alone = pipe("red apple", generator=noise(7)).images[0]
    company = pipe(["cat", "red apple", "dog with a rather long caption"], generator=noise(1, 7, 2)).images[1]
    assert alone.tobytes() == company.tobytes()
    assert alone.size == (32, 32)
    assert pipe("red apple", generator=noise(8)).images[0].tobytes() != alone.tobytes()


def test_a_shared_codec_is_found_beside_the_model(tiny_model, tmp_path):
    shutil.copytree(tiny_model / "codec", tmp_path / "codec")
    shutil.copytree(tiny_model / "denoiser", tmp_path / "model" / "denoiser")
    E2ED2Pipeline.from_pretrained(tmp_path / "model")
    assert available_models(tmp_path) == {"model": tmp_path / "model"}


@pytest.mark.parametrize("damage", ["missing", "cut", "config"])
def test_a_missing_or_damaged_model_is_one_sentence(tiny_model, tmp_path, damage):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    if damage == "missing":
        shutil.rmtree(folder / "denoiser")
    elif damage == "cut":
        weights = folder / "denoiser" / "diffusion_pytorch_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (folder / "denoiser" / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"train (one|it)"):
        load_denoiser(folder)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("l2-lpips", "independent") else pytest.mark.slow)
        for name in sorted(available_models())
    ],
)
def test_bundled_models_draw_something(name):
    pipeline = load(name)
    (image,) = pipeline.images(["red apple, noto style"], most_steps(pipeline), noise(7))
    red, green, blue = image.resize((3, 3)).getpixel((1, 1))
    assert red > 120
    assert red > green + 40
    assert red > blue + 40


def test_a_denoiser_without_a_coarse_path_shares_the_one_beside_it(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "box" / "l2")
    whole = load_file(tiny_model / "denoiser" / WEIGHTS)
    (tmp_path / "box" / "coarse").mkdir()
    save_file(coarse_of(whole), tmp_path / "box" / "coarse" / WEIGHTS)
    rest = {name: value for name, value in whole.items() if name not in coarse_of(whole)}
    save_file(rest, tmp_path / "box" / "l2" / "denoiser" / WEIGHTS)
    loaded, expected = load_denoiser(tmp_path / "box" / "l2").state_dict(), load_denoiser(tiny_model).state_dict()
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    (tmp_path / "box" / "coarse" / WEIGHTS).unlink()
    with pytest.raises(UserError, match="shares its coarse, which is not beside it"):
        load_denoiser(tmp_path / "box" / "l2")


def test_a_coarse_path_comes_from_a_model_or_from_the_box(tiny_model, tmp_path):
    torch.manual_seed(1)
    expected = coarse_of(load_denoiser(tiny_model).state_dict())
    save_file(coarse_of(load_file(tiny_model / "denoiser" / WEIGHTS)), tmp_path / WEIGHTS)
    for folder in (tiny_model, tmp_path):
        denoiser = build_denoiser(TINY_DENOISER)
        load_coarse(denoiser, folder)
        assert all(torch.equal(denoiser.state_dict()[name], expected[name]) for name in expected)
    with pytest.raises(UserError, match="No coarse path"):
        load_coarse(build_denoiser(TINY_DENOISER), tmp_path / "nowhere")
    with pytest.raises(UserError, match="has other sizes"):
        load_coarse(build_denoiser(replace(TINY_DENOISER, choices=5)), tiny_model)


@pytest.mark.parametrize("text", ["{", "[]", '{"codec": 1}'])
def test_a_damaged_list_of_what_is_shared_is_one_sentence(tmp_path, text):
    (tmp_path / "components.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        load_codec(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '{"vae": {"shared": "%s"}}',
        '{"codec": {"sahred": "%s"}}',
        '{"codec": {"shared": "%s", "hub": "someone/codec"}}',
        '{"codec": {"revision": "%s"}}',
        '{"codec": {"hub": "someone/codec", "revision": null}}',
        '{"codec": {"shared": 7}}',
        '{"codec": {"shared": ""}}',
        '{"codec": {"model": "energy"}}',
        '{"codec": {}}',
        '{"codec": {"shared": "%s"}, "coarse": {}}',
    ],
)
def test_a_list_of_what_is_shared_that_cannot_be_understood_is_one_sentence(tmp_path, text):
    """`%s` is the bundled codec's hash: otherwise each would load that codec, or anybody's."""
    (tmp_path / "components.json").write_text(text.replace("%s", digest(CHECKPOINTS / "codec" / WEIGHTS)))
    with pytest.raises(UserError, match=r"components\.json cannot be understood at \{"):
        load_codec(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "has no codec, and its components.json names none"),
        ('{"coarse": {"model": "energy"}}', "has no codec, and its components.json names none"),
        (None, "shares its codec, which is not beside it"),
    ],
)
def test_a_codec_that_nobody_names_is_not_the_bundled_one(tmp_path, text, sentence):
    if text:
        (tmp_path / "components.json").write_text(text)
    with pytest.raises(UserError, match=sentence):
        load_codec(tmp_path)


def test_a_codecs_own_folder_is_not_taken_for_the_one_beside_it(tiny_model, tmp_path):
    for name in ("mine", "codec"):
        shutil.copytree(tiny_model / "codec", tmp_path / name)
    (tmp_path / "codec" / WEIGHTS).write_bytes(b"another")
    assert load_codec(tmp_path / "mine").fingerprint == load_codec(tiny_model).fingerprint


def test_a_coarse_path_comes_from_where_a_bundled_model_has_it():
    denoiser = build_denoiser(DenoiserConfig(choice="one-hot"))
    load_coarse(denoiser, CHECKPOINTS / "l2")
    shared = coarse_of(load_file(CHECKPOINTS / "coarse" / WEIGHTS))
    assert all(torch.equal(denoiser.state_dict()[part], value) for part, value in shared.items())


def test_independent_copies_start_as_the_shared_transformer(tiny_model, text):
    shared = load_denoiser(tiny_model)
    copies = independent_copies(shared, 2)
    z = torch.randn(3, 4, 8, 8, generator=noise(3)[0])
    levels = uniform_levels(2)
    assert torch.equal(sample(copies, z, text, levels), sample(shared, z, text, levels))
    with torch.no_grad():
        copies.transformers[1].out.bias += 1
    assert not torch.equal(sample(copies, z, text, levels), sample(shared, z, text, levels))
    with pytest.raises(UserError, match="already"):
        independent_copies(copies, 2)


def test_hidden_words_change_nothing(tiny_model, text):
    denoiser = load_denoiser(tiny_model)
    torch.manual_seed(0)
    for layer in (denoiser.transformers[0].out, *(block.modulation for block in denoiser.transformers[0].blocks)):
        torch.nn.init.normal_(layer.weight)  # they start at zero
    z = torch.randn(3, 4, 8, 8, generator=noise(3)[0])
    other = TextEmbedding(text.tokens + 5 * ~text.mask[..., None], text.mask, text.pooled)
    assert torch.allclose(sample(denoiser, z, text, (1, 0)), sample(denoiser, z, other, (1, 0)), atol=1e-5)
    shown = TextEmbedding(text.tokens + 5 * text.mask[..., None], text.mask, text.pooled)
    assert not torch.allclose(sample(denoiser, z, text, (1, 0)), sample(denoiser, z, shown, (1, 0)), atol=1e-3)


def test_a_saved_network_knows_how_it_was_built_and_no_other_option(tmp_path):
    denoiser = build_denoiser(TINY_DENOISER)
    save_model(denoiser, tmp_path / "denoiser")
    again = load_denoiser(tmp_path)
    assert again.config == denoiser.config == asdict(TINY_DENOISER) | {"text_width": 384, "kept": []}
    assert {name for name, _ in again.named_parameters()} == {name for name, _ in denoiser.named_parameters()}
    file = tmp_path / "denoiser" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"unheard_of": 1}))
    with pytest.raises(UserError, match="damaged"):
        load_denoiser(tmp_path)


@pytest.mark.parametrize(("of_folder", "of_file"), [(0o755, 0o644), (0o750, 0o640), (0o700, 0o600)])
def test_whoever_may_read_the_folder_may_read_the_weights(tmp_path, of_folder, of_file):
    folder = tmp_path / "denoiser"
    folder.mkdir()
    folder.chmod(of_folder)
    save_model(build_denoiser(TINY_DENOISER), folder)
    assert stat.S_IMODE((folder / WEIGHTS).stat().st_mode) == of_file


@pytest.mark.slow
def test_the_text_encoder_is_transformers_to_the_bit():
    from transformers import AutoModel, AutoTokenizer  # seconds

    encoder, folder = MiniLM(), weights_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    theirs = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    odd = ["a", "red apple, noto style", "a long red apple that goes on " * 4, "🍎 café, 红苹果 don't", " "]
    for captions in (odd, *[[one] for one in odd]):
        texts = [spelt_out(caption) for caption in captions]
        read = tokenizer(texts, padding=True, truncation=True, max_length=encoder.max_tokens, return_tensors="pt")
        with torch.no_grad():
            states = theirs(**read).last_hidden_state
        mask = read["attention_mask"].bool()
        ours = encoder(captions)
        assert torch.equal(ours.mask, mask)
        assert torch.equal(ours.tokens, states * mask[..., None])
