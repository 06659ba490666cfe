"""Every command."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from e2ed2.cli import train_options
from e2ed2.errors import STOPPED_EARLY
from e2ed2.inference import sampling
from e2ed2.inference.request import slug
from e2ed2.models.backbones.tiny import tiny_pipeline
from e2ed2.models.coarse_to_fine import build_denoiser
from e2ed2.models.codec import build_codec
from e2ed2.models.weights import save_model
from e2ed2.training.metrics import read_metrics
from e2ed2.training.options import FORMER_PRESETS, with_new_names
from e2ed2.training.presets import ABOUT, PRESETS

from .conftest import TINY_CODEC, TINY_DENOISER


def run(*arguments, code=0):
    """In a process of its own, which takes seconds to begin."""
    done = subprocess.run([sys.executable, "-m", "e2ed2", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def small(run_config):
    """Options of a training of an instant."""
    start, data = run_config.objective.init, run_config.data.path
    updates = ("--trainer.updates", 1, "--trainer.batch-size", 2, "--sampling-steps", 1)
    return ("--init", start, "--data.path", data, "--data.resolution", 32, *updates)


def test_sample_writes_pictures_that_carry_their_settings_and_a_manifest(called, tiny_model, tmp_path):
    called(
        "sample",
        "--prompt",
        "red apple",
        "cat",
        "--model",
        tiny_model,
        "--steps",
        2,
        "--seed",
        7,
        "--count",
        2,
        "--out",
        tmp_path,
    )
    entries = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [(e["prompt"], e["seed"], e["steps"]) for e in entries] == [
        ("red apple", 7, 2),
        ("red apple", 8, 2),
        ("cat", 7, 2),
        ("cat", 8, 2),
    ]
    for entry in entries:
        file = tmp_path / entry["file"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == entry["sha256"]
        settings = Image.open(file).text
        assert settings["prompt"] == entry["prompt"]
        assert settings["seed"] == str(entry["seed"])


def test_a_picture_painted_again_replaces_its_row_and_no_other(called, tiny_model, tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    paint = ["sample", "--model", tiny_model, "--steps", 1, "--out", tmp_path, "--prompt"]
    called(*paint, "rote Äpfel", "cat")
    apples, cat = manifest.read_text().splitlines()
    manifest.write_text("\n".join([apples.replace('"sha256": "', '"sha256": "old'), cat]) + "\n")
    called(*paint, "rote Äpfel")
    assert sorted(manifest.read_text().splitlines()) == sorted([apples, cat])
    assert {file.name for file in tmp_path.iterdir()} == {
        "manifest.jsonl",
        *(json.loads(row)["file"] for row in (apples, cat)),
    }


def test_an_interrupted_run_keeps_the_rows_of_the_pictures_that_are_there(called, tiny_model, tmp_path, monkeypatch):
    command = ["sample", "--model", tiny_model, "--steps", 1, "--out", tmp_path, "--count", 3, "--prompt", "cat"]
    called(*command)
    whole, original = (tmp_path / "manifest.jsonl").read_text(), sampling.sample_image

    def stop_at_the_second(pipeline, settings):
        if settings.seed == 1:
            raise KeyboardInterrupt
        return original(pipeline, settings)

    monkeypatch.setattr(sampling, "sample_image", stop_at_the_second)
    assert "Stopped: what is finished is kept" in called(*command, code=130).err
    assert sorted((tmp_path / "manifest.jsonl").read_text().splitlines()) == sorted(whole.splitlines())


def test_a_slug_is_words_of_a_file_name():
    assert slug("A red apple, on/under a tree!") == "a-red-apple-on-under-a-tree"
    assert slug("?!") == "picture"


@pytest.mark.slow
def test_the_same_settings_give_the_same_bytes_in_another_process(called, tiny_model, tmp_path):
    for command, name in ((called, "here"), (run, "there")):
        command("sample", "--prompt", "red apple", "--model", tiny_model, "--out", tmp_path / name)
    here, there = (json.loads((tmp_path / name / "manifest.jsonl").read_text()) for name in ("here", "there"))
    assert here == there


def test_sample_notes_what_of_a_prompt_is_not_read(called, tiny_model, tmp_path):
    prompt = "red apple " * 14 + "with a last word"
    printed = called("sample", "--prompt", prompt, "--model", tiny_model, "--steps", 1, "--out", tmp_path)
    assert "with a last word” has no effect" in printed.err
    assert "has no effect" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt", ""], "prompt is empty"),
        (["--prompt", "x" * 201], "at most 200"),
        (["--prompt", "x", "--steps", "51"], "choose 1 to 50"),
        (["--prompt", "x", "--seed", "-1"], "out of range"),
        (["--prompt", "x", "--seed", "2147483647", "--count", "2"], "out of range"),
        (["--prompt", "x", "--count", "0"], "at least 1"),
        (["--prompt", "x", "--model", "nothing"], "No model 'nothing'"),
    ],
)
def test_sample_says_in_one_sentence_what_is_wrong(called, tiny_model, tmp_path, arguments, words):
    model = [] if "--model" in arguments else ["--model", tiny_model]
    said = called("sample", *arguments, *model, "--out", tmp_path / "out", code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_train_dry_run_prints_the_plan_and_writes_nothing(called, run_config, tmp_path):
    said = called(
        "train",
        "l2",
        "--dry-run",
        "--out",
        tmp_path / "run",
        "--init",
        run_config.objective.init,
        "--data.path",
        run_config.data.path,
        "--data.resolution",
        32,
    ).out
    assert all(
        word in said
        for word in ("trained parameters", "GFLOP an update", "GB of memory at the most", "samples/s", '"loss": "l2"')
    )
    assert not (tmp_path / "run").exists()


def test_train_takes_the_options_of_its_objective_by_flat_names(called, small):
    given = ("--loss", "l2:0.3 + energy", "--sampling-steps", 1, 2, "--samples", 2, "--no-precompute", "--text-noise=0")
    said = called("train", "l2-lpips", "--dry-run", *small, *given).out
    objective = json.loads(said[said.index("{") :])["objective"]
    assert objective["kind"] == "end_to_end"
    assert (objective["loss"], objective["sampling_steps"], objective["samples"]) == ("l2:0.3+energy", [1, 2], 2)
    assert (objective["precompute"], objective["text_noise"]) == (False, 0)


def test_the_help_of_train_says_what_each_preset_is(called):
    assert list(ABOUT) == list(PRESETS)
    said = " ".join(called("train", "--help").out.replace("│", " ").split())
    for name, about in ABOUT.items():
        assert f"{name} {about}" in said, said


@pytest.mark.parametrize("given", [["--trainer.steps", 2], pytest.param(["--trainer.steps=2"], marks=pytest.mark.slow)])
def test_the_former_name_of_updates_is_taken_with_a_note(called, small, tmp_path, given):
    printed = called("train", "l2", "--out", tmp_path, "--no-precompute", *small, *given)
    assert "--trainer.steps is now called --trainer.updates" in printed.err
    assert read_metrics(tmp_path)[-1].update == 2


def test_a_former_preset_is_taken_with_a_note(capsys):
    assert with_new_names(["coarse-choices", "--data.path", "coarse-choices"]) == [
        "coarse",
        "--data.path",
        "coarse-choices",
    ]
    assert capsys.readouterr().err == "The preset coarse-choices is now called coarse.\n"
    assert set(FORMER_PRESETS.values()) <= set(PRESETS)
    assert not set(FORMER_PRESETS) & set(PRESETS)


@pytest.mark.parametrize("where", ["e2ed2.objectives.objective.open_pictures", "e2ed2.training.run.Trainer.run"])
def test_an_interrupt_before_the_first_update_is_a_line(called, small, tmp_path, monkeypatch, where):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    printed = called("train", "l2", "--out", tmp_path, "--no-precompute", *small, code=130)
    assert printed.out.splitlines()[-1] == STOPPED_EARLY
    assert "Traceback" not in printed.err


def test_an_interrupt_while_the_model_is_written_leaves_what_was_trained(called, small, tmp_path, monkeypatch):
    command = ("train", "l2", "--out", tmp_path, "--no-precompute", *small)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("e2ed2.training.run.write_card", interrupt)
        assert "the same command resumes" in called(*command, code=130).out
    assert "Finished" in called(*command).out
    assert (tmp_path / "model" / "README.md").is_file()


@pytest.mark.parametrize("arguments", [["--help"], ["l2", "--help"]])
def test_the_help_of_train_names_its_folder_and_the_dry_run(called, arguments):
    said = called("train", *arguments).out
    assert "--out" in said
    assert "--dry-run" in said


def test_a_training_goes_by_its_name(called, small, tmp_path, monkeypatch):
    """As its folder, and then as what the next training starts from."""
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    monkeypatch.delenv("E2ED2_RUNS", raising=False)
    called("train", "l2", "--name", "own/mine", *small)
    assert (tmp_path / "runs" / "own" / "mine" / "model" / "README.md").is_file()
    called("train", "l1", "--name", "next", *small, "--init", "own/mine")
    assert "`own/mine`" in (tmp_path / "runs" / "next" / "model" / "README.md").read_text()


def test_train_takes_its_folder_with_an_equals_sign(called, small, tmp_path):
    called("train", "l2", f"--out={tmp_path / 'run'}", *small)
    assert (tmp_path / "run" / "model" / "README.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data.resolution", "64"], "choose --data.resolution 32"),
        (["--backprop-steps", "0"], "at least 1"),
        (["--samples", "0"], "at least 1"),
        (["--data.path", "{empty}", "--data.resolution", "32"], "give a folder of pictures"),
    ],
)
def test_train_says_in_one_sentence_what_is_wrong(called, run_config, tmp_path, arguments, words):
    given = [argument.format(empty=tmp_path) for argument in arguments]
    data = [] if "--data.path" in given else ["--data.path", run_config.data.path]
    said = called("train", "l2", "--dry-run", "--init", run_config.objective.init, *data, *given, code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_train_refuses_an_unknown_loss(called):
    assert "Unknown loss 'l3'" in called("train", "l2", "--loss", "l3", code=2).err


@pytest.mark.parametrize(
    ("preset", "option", "value"),
    [
        ("codec", "--loss", "l1"),
        ("coarse", "--loss", "l1"),
        ("single-step", "--loss", "l1"),
        ("l2", "--time-shift", "5"),
        ("coarse", "--backprop-steps", "2"),
        ("codec", "--samples", "3"),
        ("codec", "--text-noise", "0.1"),
        ("single-step", "--sampling-steps", "2"),
        ("l2", "--crop", "64"),
        ("l2", "--codec.finest", "64"),
        ("codec", "--denoiser.width", "64"),
    ],
)
def test_train_refuses_an_option_that_it_would_not_read(called, preset, option, value):
    said = called("train", preset, option, value, "--dry-run", code=2).err
    assert said.startswith("A training of kind ")
    assert said.endswith(f" does not read {option}: leave it out.\n")


TINY = ("sd15-l2-lpips", "--backbone", "tiny:sd", "--data.resolution", "32")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--tune", "full", "--lora-rank", "64"], "--lora-rank is read with --tune lora only"),
        (["--decode-crop=8"], "--decode-crop is read with --decode crop only"),
        (["--repulsion", "0.5"], "a loss of energy"),
        (["--patience", "2"], "a preference in the loss"),
        (["--trainer.adversary-lr", "1"], "gan in the loss"),
        (["--precompute", "--data.stream"], "no --data.stream"),
        (["--name", "own/a", "--out", "b"], "leave one of them out"),
        (["--name", "../a"], "leads out of the data folder"),
        (["--trainer.lr", "inf"], "trainer.lr is inf: choose a finite number"),
        (["--trainer.weight-decay", "nan"], "trainer.weight-decay is nan"),
        (["--trainer.betas", "2", "2"], "betas are 2.0 and 2.0"),
    ],
)
def test_train_refuses_what_it_would_not_read_beside_the_rest(called, given, words):
    said = called("train", *TINY, *given, code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1


BLIND = ("sd15-l2-lpips", "--loss", "l2")


@pytest.mark.parametrize(
    "words",
    [
        ("codec", "--lpips", "0", "--zoom", "2"),
        ("codec", "--zoom", "1", "--zoom-share", "0.5"),
        ("codec", "--data.resolution", "64", "--crop", "128"),
        ("codec-decoder", "--codec.finest", "32"),
        ("coarse", "--denoiser.depth", "9"),
        ("coarse", "--denoiser.sharing", "shared"),
        ("coarse", "--denoiser.choice", "none", "--samples", "4"),
        ("coarse", "--denoiser.choice", "none", "--plain-share", "0.2"),
        ("l2", "--codec-from", "coarse"),
        ("l2", "--denoiser.width", "192"),
        ("l2", "--data.workers", "9"),
        ("l2", "--data.held-out", "0.1"),
        ("l2", "--data.path", "own", "--styled-share", "0.5"),
        ("l2", "--data.path", "own", "--data.stream", "--data.skip-bad"),
        ("l2", "--sampling-steps", "1", "--random-backprop"),
        ("l2", "--backprop-steps", "1", "--random-backprop"),
        ("l2", "--sampling-steps", "1", "--detach-inputs"),
        ("l2", "--backprop-steps", "1", "--detach-inputs"),
        ("sd15-l2-lpips", "--data.path", "{cached}", "--data.stream"),
        ("sana-l2-lpips", "--data.path", "{cached}", "--precompute"),
        ("sd15-l2-lpips", "--teacher-steps", "25"),
        ("sd15-l2-lpips", "--tune", "full", "--lora-targets", "to_q", "to_k", "to_v", "to_out.0"),
        (*BLIND, "--decode", "crop"),
        (*BLIND, "--decode", "full"),
        (*BLIND, "--decode-batch", "2"),
        (*BLIND, "--tiny-codec", "here", "--decode", "tiny"),
        ("preference", "--data.path", "own"),
        ("preference", "--trainer.held-out-every", "10"),
    ],
    ids=" ".join,
)
def test_train_refuses_the_option_that_comes_last_also_where_it_says_the_default(called, tmp_path, words):
    (tmp_path / "shards.json").write_text("{}")
    said = called("train", *(word.format(cached=tmp_path) for word in words), "--dry-run", code=2).err
    option = [word for word in words if word.startswith("--")][-1]
    assert f"{option} " in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("l2", "--sampling-steps", "1", "2", "--backprop-steps", "3"),
        ("coarse", "--coarse-lr-share", "0"),
    ],
    ids=" ".join,
)
def test_train_refuses_what_has_no_effect_at_this_value(called, words):
    said = called("train", *words, "--dry-run", code=2).err
    assert words[-2].removeprefix("--") in said
    assert len(said.strip().splitlines()) == 1


def test_a_choice_that_is_the_default_is_said_to_leave_the_start_as_it_is(capsys):
    train_options(["l2-lpips", "--init", "energy", "--denoiser.choice", "normal"])
    assert capsys.readouterr().err == "--denoiser.choice normal leaves that of energy as it is.\n"
    train_options(["l2-lpips", "--init", "energy", "--denoiser.choice", "one-hot"])
    assert capsys.readouterr().err == ""


def test_a_noise_is_not_chosen_by_a_choice_that_the_model_does_not_make(called, parquet, tmp_path):
    torch.manual_seed(0)
    save_model(build_codec(TINY_CODEC), tmp_path / "codec")
    save_model(build_denoiser(replace(TINY_DENOISER, choice="none")), tmp_path / "denoiser")
    given = ("--init", tmp_path, "--data.path", parquet, "--data.resolution", "32", "--nearest-of", "4")
    assert "add --denoiser.choice one-hot" in called("train", "l2", "--dry-run", *given, code=2).err


@pytest.mark.parametrize(
    "given",
    [
        ["--tune", "full"],
        ["--tune", "full", "--parts", "attn2"],
        ["--lora-rank", "4"],
        ["--decode", "crop", "--decode-crop", "8"],
        ["--loss", "l2", "--decode", "latent"],
        ["--guidance", "3", "--teacher-steps", "25"],
        ["--backprop-steps", "4", "--random-backprop"],
        ["--sampling-steps", "1", "2", "--detach-inputs"],
        ["--data.stream", "--data.workers", "9"],
        ["--loss", "l2+gan", "--trainer.adversary-lr", "1"],
        ["--no-precompute", "--data.stream"],
    ],
)
def test_what_the_rest_makes_sense_of_is_taken(given):
    train_options([*TINY, *given])


def test_an_interrupt_of_any_command_is_a_line(called, monkeypatch):
    monkeypatch.setattr("e2ed2.cli.data_command", Mock(side_effect=KeyboardInterrupt))
    said = called("data", "check", code=130).err
    assert "the same command does the rest" in said


def test_inspect_counts_parameters_and_flops(called, tiny_model):
    out = called("inspect", tiny_model).out
    assert "4 steps" in out
    assert "GFLOP a picture" in out


def test_inspect_lists_the_parts_of_a_backbone(called, tmp_path):
    tiny_pipeline("sd").save_pretrained(tmp_path / "sd")
    out = called("inspect", tmp_path / "sd").out
    assert "M unet" in out
    assert "attn2" in out
    assert "GFLOP a picture" in out
    assert "copy or upload it" in called("export", tmp_path / "sd", tmp_path / "copy", code=2).err


def test_data_show(called, parquet, tmp_path):
    assert "captions" in called("data", "show", "--path", parquet, "--out", tmp_path / "sheet.png").out
    assert Image.open(tmp_path / "sheet.png").width == 12 * 128


def test_data_check_says_what_is_not_read(called, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    caption = " ".join(f"word{i}" for i in range(40))
    (tmp_path / "metadata.csv").write_text(f"file_name,caption\na.png,{caption}\n")
    out = called("data", "check", tmp_path).out
    assert "1 pictures, 1 different captions" in out
    assert "1 captions are longer than the 24 tokens" in out
    assert not Path("contact-sheet.png").exists()


@pytest.mark.parametrize("command", [["check"], ["show", "--out", "{out}/sheet.png"]])
def test_data_takes_the_advice_that_it_gives(called, tmp_path, command):
    """Messages name the options as a training has them."""
    command = [word.format(out=tmp_path) for word in command]
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,a cat\nb.png,a dog\n")
    assert "--data.image-column and --data.caption-column" in called("data", *command, tmp_path, code=2).err
    column = ["--data.caption-column", "text", "--data.resolution=32"]
    assert "with --data.skip-bad" in called("data", *command, tmp_path, *column, code=2).err
    assert "1 pictures, 1 different captions" in called("data", *command, tmp_path, *column, "--data.skip-bad").out
    assert "--data.skip-good" in called("data", *command, tmp_path, "--data.skip-good", code=2).err


def test_data_cache_takes_the_names_of_a_training(called, tmp_path):
    where = ["--data.path", tmp_path / "nowhere", "--data.no-stream", "--out", tmp_path / "cached"]
    assert "No pictures at" in called("data", "cache", *where, "--backbone", "tiny:sd", code=2).err


def test_data_says_what_is_missing(called, tmp_path):
    assert "No pictures at" in called("data", "show", "--path", tmp_path / "nowhere", code=2).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "--limit", "0"], "choose --limit 1 or more"),
        (["show", "--limit", "-3"], "choose --limit 1 or more"),
        (["show", "--out", "sheet"], "no picture's name"),
        (["show", "--out", "sheet.txt"], "no picture's name"),
        (["check", "--limit", "5"], "leave --out and --limit out"),
        (["check", "one", "--path", "other"], "one and other: leave one of them out"),
        (["check", "--resolution", "100000000"], "choose at most 8192"),
        (["cache", "one", "--path", "other", "--out", "cached", "--backbone", "tiny:sd"], "one and other"),
    ],
)
def test_data_says_in_one_sentence_what_cannot_be_meant(called, arguments, words):
    said = called("data", *arguments, code=2).err
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_no_command_prints_the_usage(called):
    assert "usage" in called(code=2).err
