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
from e2ed2.evaluation.protocols.config import Arm, SideBySide
from e2ed2.evaluation.protocols.files import prompts_in
from e2ed2.evaluation.protocols.geneval import RESULTS, overall, read_metadata
from e2ed2.evaluation.protocols.scores import PICK, score_of
from e2ed2.evaluation.protocols.side_by_side import cost_of
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
