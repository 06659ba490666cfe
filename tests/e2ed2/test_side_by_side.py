"""Models and baselines on the same prompts and seeds, with what they cost; scores that are there when asked for."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from e2ed2.errors import UserError
from e2ed2.evaluation.generators import load_generator
from e2ed2.evaluation.protocols.arms import Arm
from e2ed2.evaluation.protocols.changed import generator_of
from e2ed2.evaluation.protocols.config import SideBySide
from e2ed2.evaluation.protocols.files import prompts_in
from e2ed2.evaluation.protocols.geneval import RESULTS, overall, read_metadata
from e2ed2.evaluation.protocols.scores import PICK, score_of
from e2ed2.evaluation.protocols.side_by_side import cost_of
from e2ed2.inference.stock import StockPipeline
from e2ed2.models.backbones.lora import add_lora, save_lora
from e2ed2.models.backbones.tiny import tiny_pipeline

from .test_protocols import clip_folder, picture  # noqa: F401, a fixture

CPU = torch.device("cpu")
PROMPTS = ["a red apple", "a blue dog"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for family in ("sd", "sd3"):
        tiny_pipeline(family).save_pretrained(folder / family)
    return folder


def test_one_command_makes_a_table_and_a_grid_and_goes_on(models, tmp_path, called, monkeypatch):
    monkeypatch.setenv("E2ED2_RUNS", str(tmp_path / "runs"))
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS) + "\n\n")
    (tmp_path / "geneval.jsonl").write_text(json.dumps({"prompt": "a bench", "tag": "single_object"}) + "\n")
    arms = (f"{models / 'sd'}:2:3", f"{models / 'sd3'}:1:1")
    command = ("evaluate", "--arms", *arms, "--prompts", tmp_path / "prompts.txt", "--out", tmp_path / "out")
    command = (*command, "--geneval", tmp_path / "geneval.jsonl", "--side", 40)
    printed = called(*command).out
    assert "| sd, 2 steps, guidance 3 | 4 |" in printed  # guidance doubles the calls
    assert "| sd3, 1 step, guidance 1 | 1 |" in printed
    found = json.loads((tmp_path / "out" / "table.json").read_text())
    assert found["settings"]["prompts"] == PROMPTS
    for row in found["arms"]:
        assert row["gflop"] > 0
        assert row["seconds"] > 0
        assert row["geneval"] is None
    grid = np.asarray(Image.open(tmp_path / "out" / "grid.jpg"))
    assert grid.shape == (44 + 2 * 40, 150 + 2 * 40, 3)
    assert all(grid[44 + 40 * y :, 150 + 40 * x :][:40, :40].std() > 1 for y in range(2) for x in range(2))
    place = tmp_path / "out" / "geneval" / "sd-2-steps-guidance-3"
    assert json.loads((place / "00000" / "metadata.jsonl").read_text())["prompt"] == "a bench"
    assert len(list((place / "00000" / "samples").glob("0000?.png"))) == 4
    (place / RESULTS).write_text('{"tag": "single_object", "correct": true}\n')
    monkeypatch.setattr("e2ed2.evaluation.protocols.side_by_side.cost_of", lambda *given: {"nfe": 0})
    monkeypatch.setattr("e2ed2.inference.stock.StockPipeline.__call__", lambda *given: pytest.fail("sampled twice"))
    called(*command)
    assert json.loads((tmp_path / "out" / "table.json").read_text())["arms"][0]["geneval"] == 1


@pytest.mark.slow
def test_calls_and_work_are_those_of_one_picture(tiny_model):
    costs = [cost_of(load_generator(str(tiny_model), steps), "a dog", 0) for steps in (1, 4)]
    assert [cost["nfe"] for cost in costs] == [1, 4]
    assert costs[0]["gflop"] < costs[1]["gflop"]


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("l2-lpips", Arm("l2-lpips", 4, None)),
        ("my/sd:50", Arm("my/sd", 50, None)),
        ("C:/models/sd:50:7.5", Arm("C:/models/sd", 50, 7.5)),
    ],
)
def test_an_arm_is_a_model_its_steps_and_its_guidance(text, arm):
    assert Arm.parse(text) == arm


def test_what_cannot_be_compared_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="0 steps are not possible"):
        SideBySide(arms=("l2:0",))
    with pytest.raises(UserError, match="each once"):
        SideBySide(arms=("l2", "l2"))
    with pytest.raises(UserError, match=r"called alike .*labels"):
        SideBySide(arms=("a/sd-turbo:1", "b/sd-turbo:1"))
    with pytest.raises(UserError, match="cannot be read"):
        prompts_in(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UserError, match="has no prompt"):
        prompts_in(tmp_path / "empty.txt")
    with pytest.raises(UserError, match="not GenEval's list"):
        read_metadata(tmp_path / "empty.txt")
    (tmp_path / RESULTS).write_text("{}\n")
    with pytest.raises(UserError, match="not what GenEval's"):
        overall(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "is no list of arms"),
        ('[{"steps": 4}]', "names no model"),
        ('[{"model": "sd", "step": 4}]', "an arm has no 'step': choose among model, steps"),
        ('[{"model": "sd", "steps": "4"}]', 'steps of sd cannot be "4"'),
        ('[{"model": "sd", "steps": 51}]', "51 steps are not possible"),
        ('[{"model": "sd", "spacing": "even"}]', "no spacing 'even'"),
        ('[{"model": "sd", "timesteps": [1000]}]', "whole numbers from 0 to 999"),
        ('[{"model": "sd", "guidance": -1}]', "guidance is -1"),
    ],
)
def test_a_file_of_arms_that_cannot_be_meant_is_one_sentence(tmp_path, text, told):
    (tmp_path / "arms.json").write_text(text)
    with pytest.raises(UserError, match=told):
        SideBySide(arms=(str(tmp_path / "arms.json"),))


def test_arms_of_a_file_have_schedulers_timesteps_and_labels(models, tmp_path):
    entries = [
        {"model": str(models / "sd"), "label": "trailing", "spacing": "trailing", "guidance": 1},
        {"model": str(models / "sd"), "scheduler": "LCMScheduler", "timesteps": [999, 499], "guidance": 1},
    ]
    (tmp_path / "arms.json").write_text(json.dumps(entries))
    arms = SideBySide(arms=("l2", str(tmp_path / "arms.json"))).parsed
    assert [arm.name for arm in arms] == ["l2, 4 steps", "trailing", "sd, 2 steps, guidance 1"]
    trailing, fixed = (generator_of(arm, "cpu") for arm in arms[1:])
    own = load_generator(str(models / "sd"), 4, "cpu", 1)
    assert trailing.pipeline.scheduler.config.timestep_spacing == "trailing"
    assert len({own.fingerprint, trailing.fingerprint, fixed.fingerprint}) == 3
    seen = []
    fixed(["a dog"], [0], callback_on_step_end=lambda pipe, step, time, more: seen.append(int(time)) or more)
    assert seen == [999, 499]


def test_an_arm_has_the_adapters_of_its_file(models, tmp_path):
    pipeline = tiny_pipeline("sd")
    add_lora(pipeline.unet, 2, ("to_q", "to_v"))
    torch.manual_seed(0)
    for name, weights in pipeline.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights)
    save_lora(pipeline, "unet", pipeline.unet, tmp_path / "lora")
    with_lora = generator_of(Arm(str(models / "sd"), 1, 1, lora=str(tmp_path / "lora")), "cpu")
    made = np.asarray(with_lora(["a dog"], [0])[0])
    assert np.array_equal(made, np.asarray(StockPipeline(pipeline, 1, 1)(["a dog"], [0])[0]))
    assert not np.array_equal(made, np.asarray(load_generator(str(models / "sd"), 1, "cpu", 1)(["a dog"], [0])[0]))
    with pytest.raises(UserError, match="cannot be loaded as adapters"):
        generator_of(Arm(str(models / "sd"), lora=str(tmp_path / "none")), "cpu")


def test_what_a_pipeline_cannot_be_given_is_one_sentence(models, tiny_model):
    for arm, told in (
        (Arm(str(models / "sd"), scheduler="NoScheduler"), "no scheduler 'NoScheduler'"),
        (Arm(str(models / "sd"), timesteps=(999,)), "a DDIMScheduler takes no timesteps"),
        (Arm(str(models / "sd3"), spacing="trailing"), "does not space its timesteps"),
        (Arm(str(tiny_model), lora="x"), "has a chain of its own: leave lora out"),
    ):
        with pytest.raises(UserError, match=told):
            generator_of(arm, "cpu")


def test_all_unknown_arms_are_said_at_once_and_no_folder_is_made(tmp_path, called):
    command = ("evaluate", "--arms", "nowhere", "nothing:1", "--out", tmp_path / "new", "--scores", "clip")
    told = called(*command, "--weights", tmp_path, code=2).err.splitlines()
    assert told[0] == "3 things are to be done first:"
    assert [part in line for part, line in zip(("nowhere", "nothing", "clip-vit"), told[1:], strict=True)] == [True] * 3
    assert not (tmp_path / "new").exists()


def test_geneval_is_the_mean_over_kinds_of_prompts(tmp_path):
    lines = [("counting", True), ("counting", False), ("colors", True), ("colors", True)]
    text = "".join(json.dumps({"tag": tag, "correct": right}) + "\n" for tag, right in lines)
    (tmp_path / RESULTS).write_text(text)
    assert overall(tmp_path) == 0.75


def test_pickscore_is_the_cosine_times_the_temperature_and_has_no_prefix(clip_folder, tmp_path):  # noqa: F811
    (tmp_path / PICK).symlink_to(clip_folder)
    score, pictures = score_of("pickscore", tmp_path, CPU), [picture(1), picture(2)]
    tokens = score.tokenizer(PROMPTS, padding=True, return_tensors="pt")
    pixels = score.processor(images=pictures, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        made = score.model(**tokens, pixel_values=pixels)
    expected = score.model.logit_scale.exp() * F.cosine_similarity(made.image_embeds, made.text_embeds)
    assert torch.allclose(score(pictures, PROMPTS), expected.detach(), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("clip", r"clip-vit-base-patch32 is missing: .*openai"),
        ("pickscore", r"PickScore_v1 is missing: .*yuvalkirstain"),
        ("hpsv2", r"hpsv2 is not installed .*pip install hpsv2`"),
        ("imagereward", r"imagereward is not installed .*pip install image-reward`"),
    ],
)
def test_a_score_that_is_not_there_is_one_sentence(tmp_path, name, told):
    with pytest.raises(UserError, match=told):
        score_of(name, tmp_path, CPU)


def test_packages_of_scores_are_called_as_they_want_to_be(tmp_path, monkeypatch):
    """Stand-ins for the packages, with their signatures."""
    asked = []

    def score(img_path, prompt, cp=None, hps_version="v2.0"):
        asked.append((prompt, hps_version))
        return [np.float32(0.25)]

    model = SimpleNamespace(score=lambda prompt, image: len(prompt) + isinstance(image, Image.Image))
    load = lambda name, device="cpu", download_root=None: asked.append((name, download_root)) or model
    monkeypatch.setitem(sys.modules, "hpsv2", SimpleNamespace(score=score))
    monkeypatch.setitem(sys.modules, "ImageReward", SimpleNamespace(load=load))
    pictures = [picture(1), picture(2)]
    assert score_of("hpsv2", tmp_path, CPU)(pictures, PROMPTS).tolist() == [0.25, 0.25]
    assert score_of("imagereward", tmp_path, CPU)(pictures, PROMPTS).tolist() == [12.0, 11.0]
    assert asked[:2] == [(PROMPTS[0], "v2.1"), (PROMPTS[1], "v2.1")]
    assert asked[2] == ("ImageReward-v1.0", str(tmp_path / "ImageReward"))
