"""Noise, and what a teacher makes of it, written once: what a training with `--guidance` computes in every update."""

import json
import subprocess
from dataclasses import replace
from shutil import copytree

import pytest
import torch
from safetensors.torch import load_file

from e2ed2.data.caching import write_cache
from e2ed2.data.config import SETTINGS, CacheOptions, CaptionedSet, DataConfig, PairOptions
from e2ed2.data.from_disk import open_held_out, open_pictures
from e2ed2.data.pairs import Writer, captioned_rows, write_pairs
from e2ed2.diffusion.levels import uniform_levels
from e2ed2.diffusion.sampler import sample
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.objectives.backbone import BackboneEndToEnd
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.objective import trained
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.config import RunConfig, TrainerConfig
from e2ed2.training.memory import first_of
from e2ed2.training.run import train

from .test_processes import launched
from .test_training import stop_after

CAPTIONS = ["red apple", "a blue dog", "", "three cats", "a house by the sea", "an old car"]
GUIDANCE, STEPS = 3.0, 4
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    """One caption a line, and one line without."""
    file = tmp_path_factory.mktemp("captions") / "captions.txt"
    file.write_text("\n".join(CAPTIONS) + "\n")
    return file


def options(captions, out, **given) -> PairOptions:
    usual = {"backbone": "tiny:sd3", "guidance": GUIDANCE, "steps": STEPS, "shard_size": 4, "batch_size": 2}
    return PairOptions(out, **{"data": CaptionedSet(str(captions), resolution=32)} | usual | given)


@pytest.fixture(scope="module")
def pairs(captions, tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "sd3"
    assert write_pairs(options(captions, out)) == (5, 1)
    return out


def data_of(folder, **given) -> DataConfig:
    return DataConfig(str(folder), resolution=32, **given)


def config(loss="l2", **given) -> BackboneEndToEndConfig:
    chain = {"backbone": "tiny:sd3", "loss": LossSpec.parse(loss), "sampling_steps": (2,)}
    return BackboneEndToEndConfig(**chain | given)


def objective(*loss, **given) -> BackboneEndToEnd:
    torch.manual_seed(3)
    return BackboneEndToEnd.of(config(*loss, **given), 32)


def batches_of(made, pairs, size=2, **given):
    return made.batches(open_pictures(data_of(pairs, **given)), size, 0, CPU)


@pytest.mark.parametrize("loss", ["l2", "l2+lpips"])
def test_a_training_on_pairs_is_one_with_guidance_on_their_noise(pairs, loss):
    """The targets, the losses and the gradient; also where pictures are compared, which are decoded of the latents."""
    stored, online = objective(loss), objective(loss, guidance=GUIDANCE, teacher_steps=STEPS)
    batch, seeds = batches_of(stored, pairs)(3), UpdateSeeds(0, 3)
    assert not len(batch.images)
    made = sample(online.teacher, batch.noise, batch.text, uniform_levels(STEPS))
    assert torch.allclose(batch.latents, made, atol=1e-5 * made.abs().max().item())
    unknown = replace(batch, latents=torch.full_like(batch.latents, torch.nan))
    terms, taught = stored(batch, seeds), online(unknown, seeds)
    for name, value in taught.terms.items():
        assert terms.terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    for outcome in (terms, taught):
        outcome.total().backward()
    for one, other in zip(trained(stored.model), trained(online.model), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-5 * other.grad.abs().max().item())


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd", "sana"])
def test_other_families_have_pairs_as_well(captions, tmp_path, family):
    """Also those that read a mask beside the tokens, where a caption is stored without its padding."""
    assert write_pairs(options(captions, tmp_path, backbone=f"tiny:{family}")) == (5, 1)
    given = {"backbone": f"tiny:{family}", "guidance": GUIDANCE, "teacher_steps": STEPS}
    stored, online = objective(backbone=f"tiny:{family}"), objective(**given)
    batch = batches_of(stored, tmp_path, 4)(0)
    made = sample(online.teacher, batch.noise, batch.text, uniform_levels(STEPS))
    assert torch.allclose(batch.latents, made, atol=1e-5 * made.abs().max().item())


def test_without_guidance_the_teacher_is_asked_once_a_step(captions, tmp_path):
    write_pairs(options(captions, tmp_path, guidance=1.0))
    made = objective()
    batch = batches_of(made, tmp_path)(0)
    plain = sample(Backbone.of(tiny_pipeline("sd3")), batch.noise, batch.text, uniform_levels(STEPS))
    assert torch.allclose(batch.latents, plain, atol=1e-5 * plain.abs().max().item())
    assert "guidance" not in made.card(open_pictures(data_of(tmp_path)))


def test_every_caption_has_noise_of_its_own_which_goes_with_it(pairs):
    batches = batches_of(objective(), pairs, size=5)
    once, again = batches(0), batches(1)
    apart = torch.cdist(once.noise.flatten(1), once.noise.flatten(1))
    assert (apart + torch.eye(5) * 99).min() > 10
    assert once.noise.std().item() == pytest.approx(1, abs=0.05)
    for noise, latents in zip(again.noise, again.latents, strict=True):
        (place,) = [n for n in range(5) if torch.equal(once.noise[n], noise)]
        assert torch.equal(once.latents[place], latents)
    few = first_of(once, 2)
    assert torch.equal(few.noise, once.noise[:2])


def test_each_caption_of_a_row_is_a_pair(tmp_path):
    (tmp_path / "set").mkdir()
    lines = ({"file_name": f"{n}.png", "text": [f"thing {n}", f"the {n}"]} for n in range(2))
    (tmp_path / "set" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for n in range(2):
        (tmp_path / "set" / f"{n}.png").touch()  # of which nothing is read
    of = options(tmp_path / "set", tmp_path / "out")
    assert write_pairs(replace(of, data=replace(of.data, caption_column="text"))) == (4, 0)
    found = load_file(tmp_path / "out" / "shard-00000.safetensors")
    assert found["16x16.drawn"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert found["16x16.latents"].dtype == torch.float32


def test_what_was_begun_is_gone_on_with_and_not_mixed(pairs, captions, tmp_path):
    copytree(pairs, tmp_path, dirs_exist_ok=True)
    shard = tmp_path / "shard-00001.safetensors"
    before, lines = load_file(shard), shard.with_suffix(".jsonl").read_text()
    kept = (tmp_path / "shard-00000.safetensors").stat().st_mtime_ns
    shard.unlink()
    with pytest.raises(UserError, match="has 1 of 2 shards: run the same `data cache` or `data pairs` again"):
        open_pictures(data_of(tmp_path))
    assert write_pairs(options(captions, tmp_path)) == (5, 1)
    after = load_file(shard)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert shard.with_suffix(".jsonl").read_text() == lines
    assert (tmp_path / "shard-00000.safetensors").stat().st_mtime_ns == kept
    for name, value in {"guidance": 5.0, "steps": 3, "seed": 1, "bf16": True}.items():
        with pytest.raises(UserError, match=rf"another set or model \(other {name}\)"):
            write_pairs(options(captions, tmp_path, **{name: value}))


@pytest.mark.parametrize("first", ["cache", "pairs"])
def test_pairs_and_encoded_pictures_do_not_share_a_folder(few, tmp_path, first):
    """Also where the set and the networks are the same."""
    of, data = {"backbone": "tiny:sd3"}, {"path": str(few), "resolution": 32}
    writes = {
        "cache": lambda: write_cache(CacheOptions(tmp_path, pixels=False, data=DataConfig(**data), **of)),
        "pairs": lambda: write_pairs(PairOptions(tmp_path, steps=1, data=CaptionedSet(**data), **of)),
    }
    writes.pop(first)()
    before = (tmp_path / SETTINGS).read_text()
    (other,) = writes.values()
    with pytest.raises(UserError, match="another set or model"):
        other()
    assert (tmp_path / SETTINGS).read_text() == before


@pytest.mark.parametrize(
    ("written", "told"),
    [("café\n".encode("latin-1"), "is not in UTF-8: save it as UTF-8"), (b"", "is empty: write one caption a line")],
)
def test_a_file_that_holds_no_captions_is_one_sentence(tmp_path, written, told):
    (tmp_path / "c.txt").write_bytes(written)
    with pytest.raises(UserError, match=told):
        write_pairs(options(tmp_path / "c.txt", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_captions_as_windows_saves_them_are_read(tmp_path, encoding):
    (tmp_path / "c.txt").write_text("café\r\nred apple\r\n", encoding=encoding)
    rows = captioned_rows(DataConfig(str(tmp_path / "c.txt")))
    assert [rows[place].fields["caption"] for place in range(len(rows))] == ["café", "red apple"]


def test_what_is_not_finite_is_left_out_and_counted(captions, tmp_path, monkeypatch):
    latents = Writer.latents

    def spoilt(writer, asked, texts):
        made = latents(writer, asked, texts)
        made[[one.text == "three cats" for one in asked]] = torch.inf
        return made

    monkeypatch.setattr(Writer, "latents", spoilt)
    assert write_pairs(options(captions, tmp_path)) == (4, 2)
    said = (tmp_path / "shard-00000.jsonl").read_text()
    assert "line 3 has no caption" in said
    assert "What was made for “three cats” is not finite" in said


def test_pairs_of_another_network_are_refused(pairs, tmp_path):
    pipeline = tiny_pipeline("sd3")
    with torch.no_grad():
        pipeline.transformer.proj_out.bias.add_(1)  # codec and text encoders are the same
    pipeline.save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match=r"made by another network than .*other: run `data pairs`"):
        batches_of(objective(backbone=str(tmp_path / "other")), pairs)


def test_pairs_of_another_codec_say_whose_they_are(pairs, tmp_path):
    file = copytree(pairs, tmp_path / "p") / SETTINGS
    file.write_text(json.dumps(json.loads(file.read_text()) | {"codec": "another"}))
    told = "made with another codec: train tiny:sd3 on it, or run `data pairs` with another --backbone into another"
    with pytest.raises(UserError, match=told):
        batches_of(objective(), tmp_path / "p")


def test_a_network_is_known_by_its_weights_whether_or_not_it_has_adapters(pairs):
    start = Backbone.of(tiny_pipeline("sd3"))
    made = objective()
    assert made.model.fingerprint == start.fingerprint == objective(tune="full").model.fingerprint
    next(iter(start.network.parameters())).data += 1
    assert made.model.fingerprint != start.fingerprint


@pytest.mark.parametrize("given", [{"guidance": 3.0}, {"loss": LossSpec.parse("energy"), "samples": 2}])
def test_a_noise_has_one_target(pairs, given):
    torch.manual_seed(3)
    made = BackboneEndToEnd.of(replace(config(), **given), 32)
    with pytest.raises(UserError, match="each noise has its one target: leave --guidance and --samples out"):
        batches_of(made, pairs)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"backbone": ""}, "Whose pictures"),
        *(({"guidance": guidance}, "above 1, or 1 for none") for guidance in (0.5, float("nan"), float("inf"))),
        ({"steps": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"data": CaptionedSet()}, "name a set of your own"),
    ],
)
def test_what_cannot_be_meant_is_refused(captions, given, told):
    with pytest.raises(UserError, match=told):
        replace(options(captions, "x"), **given)


@pytest.mark.parametrize("option", ["--workers=2", "--stream", "--no-skip-bad"])
def test_how_pictures_would_be_read_is_no_option_where_captions_alone_are(option, captions, tmp_path, called):
    words = ["data", "pairs", captions, "--backbone", "tiny:sd3"]
    assert f"Unrecognized options: {option}" in called(*words, "--out", tmp_path / "p", option, code=2).err
    name = option.split("=")[0]
    assert name not in called(*words, "--help").out
    with pytest.raises(TypeError, match="unexpected keyword"):
        CaptionedSet("x", **{name.removeprefix("--").removeprefix("no-").replace("-", "_"): 2})


def test_what_a_teacher_or_a_file_of_captions_has_no_use_for_is_refused(captions, tmp_path):
    with pytest.raises(UserError, match="convert it with"):
        write_pairs(options(captions, tmp_path, backbone="tiny:pixart"))
    with pytest.raises(UserError, match=r"is for pictures of 32 by 32 pixels: add --data\.resolution 32"):
        write_pairs(options(captions, tmp_path, data=CaptionedSet(str(captions), resolution=34)))
    with pytest.raises(UserError, match="knows 1000 noise levels: choose at most 1000 steps, not 1001"):
        write_pairs(options(captions, tmp_path, backbone="tiny:sd", steps=1001))
    assert not any(tmp_path.iterdir())
    with pytest.raises(UserError, match="is read line by line: leave --caption-column out"):
        write_pairs(options(captions, tmp_path, data=CaptionedSet(str(captions), resolution=32, caption_column="text")))


def test_held_out_pairs_are_not_trained_on(pairs):
    held = open_held_out(data_of(pairs, held_out=0.2), 3)
    assert len(held) == 1
    made = objective()
    noise = made.batches(held, 1, 0, CPU)(0).noise
    seen = [batches_of(made, pairs, size=4, held_out=0.2)(0).noise]
    assert not any(torch.equal(noise[0], one) for one in seen[0])


def test_previews_are_of_the_noise_of_the_targets_above_them(pairs):
    made = objective(guidance=0.0)
    batch = batches_of(made, pairs).preview(3)
    shown = made.preview(made.model, batch)
    with torch.no_grad():
        below = made.codec.decode(sample(made.model, batch.noise, batch.text, uniform_levels(2))).clamp(-1, 1)
    assert torch.equal(shown, torch.cat([batch.images, below]))


def test_a_command_writes_pairs_and_a_training_on_them_goes_on_bit_for_bit(captions, tmp_path, called, monkeypatch):
    out = tmp_path / "pairs"
    wanted = ("--backbone", "tiny:sd3", "--guidance", "3", "--steps", "4", "--resolution", "32", "--out", out)
    said = called("data", "pairs", "--data.path", captions, *wanted).out
    assert "5 pictures in" in said
    assert "1 were left out" in said
    assert "made of noise by tiny:sd3: latents and texts" in called("data", "check", out, "--resolution", "32").out
    trainer = TrainerConfig(updates=3, batch_size=2, warmup=1, ema_decay=0.5, log_every=1, preview_every=100)
    given = RunConfig(config(), data_of(out), trainer)
    assert train(given, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        assert not train(given, tmp_path / "parts")
    assert train(given, tmp_path / "parts")
    whole, parts = (
        load_file(tmp_path / name / "checkpoints" / "000003" / "model.safetensors") for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    card = (tmp_path / "whole" / "model" / "README.md").read_text()
    assert "makes of the same noise in 4 steps with a guidance of 3, which is so folded in" in card


@pytest.mark.slow
def test_two_processes_share_the_work_and_one_says_so(pairs, captions, tmp_path):
    """Processes of their own, each of which imports torch."""
    wanted = {"--backbone": "tiny:sd3", "--guidance": GUIDANCE, "--steps": STEPS, "--shard-size": 4, "--batch-size": 2}
    words = [word for pair in wanted.items() for word in pair]
    both = launched(2, ["pairs", captions, *words, "--resolution", 32, "--out", tmp_path], subprocess.PIPE, "data")
    said = [one.communicate() for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert "5 pictures in" in said[0][0]
    assert said[1][0] == ""
    for number in range(2):
        one, other = (load_file(folder / f"shard-0000{number}.safetensors") for folder in (pairs, tmp_path))
        for name, value in one.items():
            assert torch.allclose(other[name].float(), value.float(), atol=1e-5), name


@pytest.mark.slow
def test_of_one_caption_every_noise_learns_its_own_picture(tmp_path):
    """Sixty updates: with other noise, nothing could be nearer to the targets than their mean."""
    file = tmp_path / "captions.txt"
    file.write_text("red apple\n" * 8)
    write_pairs(options(file, tmp_path / "pairs", backbone="tiny:sana"))
    made = objective(backbone="tiny:sana", tune="full", sampling_steps=(4,))
    batches, optimizer = batches_of(made, tmp_path / "pairs", 8), torch.optim.Adam(made.model.parameters(), lr=1e-2)
    spread = batches(0).latents.var(dim=0, correction=0).mean()
    for update in range(60):
        optimizer.zero_grad()
        outcome = made(batches(update), UpdateSeeds(0, update))
        outcome.total().backward()
        optimizer.step()
    assert outcome.terms["l2"] < 0.1 * spread
    again = replace(batches(0), noise=None)
    assert made(again, UpdateSeeds(0, 0)).terms["l2"] > spread


def test_every_option_of_the_teacher_is_heeded(pairs, captions, tmp_path):
    """Noise is the seed's alone, and bf16 is near to float32."""
    read = lambda folder: open_pictures(data_of(folder))
    first = read(pairs)
    before = first.largest.at(0)
    for name, value in {"guidance": 5.0, "steps": 3, "seed": 1, "bf16": True}.items():
        write_pairs(options(captions, tmp_path / name, **{name: value}))
        other = read(tmp_path / name)
        after = other.largest.at(0)
        error = ((after.latents - before.latents).norm() / before.latents.norm()).item()
        assert error > 1e-4, name
        assert name != "bf16" or error < 0.05
        assert torch.equal(other.noise([after]), first.noise([before])) is (name != "seed"), name
