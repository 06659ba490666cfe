"""People's votes as a model of what they prefer, and as a loss."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import t as student

from e2ed2.data.config import DataConfig
from e2ed2.errors import UserError
from e2ed2.losses.spec import LossSpec
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import WEIGHTS
from e2ed2.objectives import preference as module
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig
from e2ed2.objectives.chain_config import EndToEndConfig
from e2ed2.objectives.config import PreferenceConfig
from e2ed2.objectives.liking import Liking
from e2ed2.objectives.preference import PreferenceObjective
from e2ed2.preference.accuracy import Foretold, accuracy, in_words
from e2ed2.preference.model import Answers, Head, Preference
from e2ed2.preference.regions import glow, sensitivity
from e2ed2.preference.votes import agreement, halves, read_votes
from e2ed2.seeds import UpdateSeeds, stream
from e2ed2.training.amount import AMOUNT, keep_amount
from e2ed2.training.config import RunConfig, TrainerConfig
from e2ed2.training.metrics import read_metrics
from e2ed2.training.run import build, train
from e2ed2.training.trainer import BEST
from study.stats.davidson import fit

from .conftest import options
from .test_training import stop_after
from .voted import write_votes


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    return write_votes(tmp_path_factory.mktemp("study") / "export")


@pytest.fixture(scope="session")
def learned(export, tmp_path_factory):
    """A finished training, which is quick: the raters like warm colours."""
    folder = tmp_path_factory.mktemp("runs") / "warm"
    config = RunConfig(
        PreferenceConfig(votes=str(export), members=2),
        data=DataConfig(resolution=48),
        trainer=TrainerConfig(updates=60, batch_size=128, lr=3e-3, warmup=5, weight_decay=0.0, ema_decay=0.9),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("e2ed2.preference.accuracy.UPDATES", 15)  # of ten folds
        assert train(config, folder)
    return folder, config


def few(export, tmp_path, change):
    votes = pd.read_parquet(export / "votes.parquet")
    (tmp_path / "raters.parquet").write_bytes((export / "raters.parquet").read_bytes())
    (tmp_path / "images").symlink_to(export / "images")
    change(votes).to_parquet(tmp_path / "votes.parquet")
    return tmp_path


def test_votes_are_read_as_they_were_given(export):
    votes, table = read_votes(export), pd.read_parquet(export / "votes.parquet")
    assert len(votes) == len(table)
    row = 17
    assert votes.prompts[votes.prompt[row]] == table["prompt"][row]
    assert votes.files[votes.left[row]] == export / table["image_left"][row]
    assert votes.raters[votes.rater[row]] == table["rater"][row]
    assert ("left", "tie", "right")[votes.answer[row]] == table["answer"][row]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda v: v[:50], r"needs \d+ more answers to “overall” that are no tie"),
        (lambda v: v[v["prompt"].isin([f"thing {i}" for i in range(6)])].sample(200, replace=True), "2 more prompts"),
        (lambda v: v[v["rater"] < "r002"].sample(200, replace=True), "2 more raters"),
        (lambda v: v[:0], "has no answers yet"),
        (lambda v: v.assign(kind="gold"), "has no answers yet"),
        (lambda v: v.drop(columns="question"), "is no export of a study"),
        (lambda v: v.assign(image_left="images/gone.png"), "lacks 1 images"),
    ],
)
def test_what_no_preference_can_be_learned_from_is_refused(export, tmp_path, change, sentence):
    with pytest.raises(UserError, match=sentence):
        read_votes(few(export, tmp_path, change))


def test_answers_that_were_withdrawn_do_not_count(export, tmp_path):
    folder = few(export, tmp_path, lambda v: v)
    raters = pd.read_parquet(folder / "raters.parquet")
    (folder / "raters.parquet").unlink()
    raters.assign(withdrawn=["asked to"] + [""] * (len(raters) - 1)).to_parquet(folder / "raters.parquet")
    assert read_votes(folder).raters == sorted(raters["rater"])[1:]


def test_the_likelihood_is_that_of_the_studys_ranking():
    """Davidson's model by maximum likelihood, here and in `study`: an image's features say which arm it is of."""
    rng = np.random.default_rng(0)
    counts = rng.integers(5, 40, (3, 3, 3)).astype(float) * (1 - np.eye(3))[..., None]
    found = fit(counts, ("a", "b", "c"))
    rows = [
        (left, right, said) for left, right, said in np.ndindex(3, 3, 3) for _ in range(int(counts[left, right, said]))
    ]
    left, right, said = (torch.tensor(column) for column in zip(*rows, strict=True))
    answers = Answers(torch.eye(3)[left], torch.eye(3)[right], torch.zeros(len(rows), 4), torch.zeros_like(said), said)
    head = Head(3, 4, questions=1, members=1)
    with torch.no_grad():
        head.linear.copy_(torch.tensor(found.strengths))
        head.tie.fill_(found.tie)
        head.side.fill_(found.side)
    total = head.log_likelihood(answers).sum()
    assert total.item() == pytest.approx(found.log_likelihood, rel=1e-5)
    total.backward()
    for weights in (head.linear, head.tie, head.side):  # the study's maximum is one here
        assert weights.grad.abs().max() < 0.01


def test_a_rewards_gradient_is_that_of_finite_differences(learned):
    preference = Preference.load(learned[0] / "model" / "preference").double()
    images = (torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1).double().requires_grad_()
    pooled = torch.nn.functional.normalize(torch.ones(1, 384), dim=-1).double()
    other = torch.zeros(1, 3, 48, 48).double()
    preference.reward(images, other, pooled).sum().backward()
    direction = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-5
    there, back = (
        preference.reward(images.detach() + sign * step * direction, other, pooled).item() for sign in (1, -1)
    )
    assert (images.grad * direction).sum().item() == pytest.approx((there - back) / (2 * step), rel=1e-3)


def test_a_taste_is_learned_and_foretells_people_and_prompts_that_were_left_out(learned):
    folder, _ = learned
    grain = 0.1 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    warm, cold = (torch.tensor([tone, 0.1, -tone])[:, None, None] + grain for tone in (0.6, -0.6))
    pooled = torch.nn.functional.normalize(torch.ones(1, 384), dim=-1)
    for name in ("preference", "judge"):
        model = Preference.load(folder / "model" / name)
        assert model.reward(warm, cold, pooled, "overall") > 0.5 > -0.5 > model.reward(cold, warm, pooled, "overall")
        assert model.reward(warm, warm, pooled).item() == pytest.approx(0, abs=0.01)
    together, overall = json.loads((folder / "model" / "accuracy.json").read_text())
    assert (together["question"], overall["question"]) == ("", "overall")
    for left_out in ("prompts", "raters"):
        assert 0.65 < overall[left_out]["low"] < overall[left_out]["value"] <= overall[left_out]["high"]
    assert 0.5 < overall["agreement"] < overall["ceiling"] < 1
    card = (folder / "model" / "README.md").read_text()
    assert "| overall | 0." in card
    assert "training captions" not in card


def test_what_it_likes_most_and_least_is_written_beside_it(learned):
    folder = learned[0] / "model" / "examples"
    said = json.loads((folder / "examples.json").read_text())
    warmth = []
    for place, one in enumerate(said):
        image = np.asarray(Image.open(folder / f"{place}.png"), float)
        warmth.append((image[..., 0] - image[..., 2]).mean())
        layer = np.asarray(Image.open(folder / f"{place}-where.png"))
        assert layer.shape == (48, 48, 4)
        assert one["caption"].startswith("thing ")
    most = [one["most"] for one in said]
    assert most == [True] * 6 + [False] * 6
    assert min(warmth[:6]) > max(warmth[6:])
    leads = [one["lead"] for one in said]
    assert leads[0] == max(leads)
    assert leads[6] == min(leads)


def test_where_a_score_is_decided_is_where_a_change_changes_it(learned):
    preference = Preference.load(learned[0] / "model" / "preference")
    with torch.no_grad():  # of all that it sees, the red of the upper left square of 4 x 4 alone
        preference.head.linear.zero_()
        preference.head.joint.zero_()
        preference.head.linear[..., -48] = 1
        preference.gain[-48] = 1
    images = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pooled = torch.nn.functional.normalize(torch.ones(2, 384), dim=-1)
    where = sensitivity(preference, images, pooled)
    assert where.shape == (2, 48, 48)
    assert where.amax(dim=(1, 2)).tolist() == [1, 1]
    assert where[:, :11, :11].min() > 0.4  # 12 pixels to a square, smoothed at its edges
    assert where[:, 17:].max() == where[:, :, 17:].max() == 0
    layer = np.asarray(glow(where[0]))
    assert layer[5, 5, 3] > 200 > layer[40, 40, 3] == 0


@pytest.mark.slow
def test_votes_by_lot_foretell_nothing(tmp_path):
    """One of ten intervals of 95% may miss by chance."""
    missed = []
    for seed in range(5):
        config = RunConfig(
            PreferenceConfig(votes=str(write_votes(tmp_path / str(seed), taste=0.0, seed=seed))),
            data=DataConfig(resolution=48),
            trainer=TrainerConfig(updates=1, batch_size=8),
        )
        found = build(config)[0].foretold()[0]
        missed += [part for part in (found.prompts, found.raters) if not part.low < 0.5 < part.high]
        assert found.agreement == pytest.approx(0.5, abs=0.06)
    assert len(missed) <= 1


def test_a_training_on_votes_is_not_gone_on_with_when_there_are_more(learned, export, tmp_path):
    folder, config = learned
    count = len(read_votes(export))
    assert json.loads((folder / "run.json").read_text())[AMOUNT] == count
    shutil.copytree(folder, tmp_path / "run")
    with pytest.raises(UserError, match=f"learned from {count} answers, and now there are {count + 9}"):
        keep_amount(tmp_path / "run", config, count + 9)


@pytest.fixture(scope="session")
def parts(export):
    """The objective and its batches."""
    config = RunConfig(PreferenceConfig(votes=str(export)), data=DataConfig(resolution=48))
    return build(replace(config, trainer=TrainerConfig(batch_size=300)))


def test_each_process_draws_answers_of_its_own_and_the_same_ones_again(parts):
    _, batches = parts
    first, second = (batches(3, process, 2).rows for process in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, batches(3, 0, 2).rows)
    assert not torch.equal(first, batches(4, 0, 2).rows)


def test_answers_are_drawn_from_all_and_others_by_another_seed(parts):
    objective, batches = parts
    drawn = torch.cat([batches(update).rows for update in range(9)])
    assert drawn.min() < 20
    assert drawn.max() > len(objective.votes) - 20
    other = copy.copy(batches)
    other.seed += 1
    assert not torch.equal(other(3).rows, batches(3).rows)
    assert len(batches(0).rows) == 300
    assert torch.equal(batches(3).rows, batches(3, 0, 1).rows)


def test_the_preference_and_its_judge_use_their_answers_as_often_as_chance_of_their_own_says(parts):
    """Each member of both learns from prompts drawn anew."""
    objective, batches = parts
    prompt = objective.votes.prompt
    for place, (name, mine) in enumerate(objective.mine.items()):
        often = torch.poisson(
            torch.ones(objective.config.members, len(objective.votes.prompts)),
            generator=stream(batches.seed, "votes", place),
        )
        assert torch.equal(batches.weights[name], often[:, prompt] * mine)


def test_answers_come_in_batches_as_the_settings_say(parts, monkeypatch):
    objective, batches = parts
    monkeypatch.setattr(module, "VoteBatches", lambda *given: given)
    try:
        made = objective.batches("pictures", 7, 11, torch.device("cpu"))
        assert made == objective.voted == (objective, "pictures", 7, 11, torch.device("cpu"))
    finally:
        objective.voted = batches


def test_a_batch_holds_what_its_answers_say(parts):
    objective, batches = parts
    votes, batch = objective.votes, batches(2)
    rows = batch.rows
    for name, answers in batch.answers.items():
        assert torch.equal(answers.left, batches.features[name][votes.left[rows]])
        assert torch.equal(answers.right, batches.features[name][votes.right[rows]])
        assert torch.equal(answers.pooled, batches.pooled[votes.prompt[rows]])
        assert torch.equal(answers.question, votes.question[rows])
        assert torch.equal(answers.answer, votes.answer[rows])
        assert torch.equal(batch.weights[name], batches.weights[name][:, rows])
    assert torch.equal(batches.pooled, MiniLM()(votes.prompts).pooled)


@pytest.fixture
def with_a_taste(parts):
    """The same; meanwhile its heads like something."""
    heads = [part.head.linear for part in parts[0].model.values()]
    with torch.no_grad():
        for number, weights in enumerate(heads):
            weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(number)))
    yield parts
    with torch.no_grad():
        for weights in heads:
            weights.zero_()


def test_a_loss_is_the_mean_likelihood_of_each_half_and_the_prior_of_all_its_answers(with_a_taste):
    objective, batches = with_a_taste
    batch = batches(1)
    outcome, prior = objective(batch, UpdateSeeds(0, 0)), 0.0
    for name, part in objective.model.items():
        weights, likelihood = batch.weights[name], part.head.log_likelihood(batch.answers[name])
        expected = -(weights * likelihood).sum() / weights.sum()
        assert outcome.terms[name].item() == pytest.approx(expected.item(), rel=1e-5)
        prior -= part.head.log_prior().mean().item() / objective.mine[name].sum().item()
    assert outcome.terms["prior"].item() == pytest.approx(prior, rel=1e-4)
    assert prior > 0
    assert outcome.total().item() == pytest.approx(sum(value.item() for value in outcome.terms.values()), rel=1e-5)
    nobody = replace(batch, weights={name: 0 * weights for name, weights in batch.weights.items()})
    assert objective(nobody, UpdateSeeds(0, 0)).terms["judge"] == 0


def test_an_image_leads_by_what_it_is_liked_more_than_those_of_its_prompt(with_a_taste):
    objective, batches = with_a_taste
    liked, prompt = objective.model["preference"], objective.votes.prompt_of_file()
    features, pooled = batches.features["preference"], batches.pooled[prompt]
    with torch.no_grad():
        scores, leads = liked.head(features, pooled).mean(dim=(0, 2)), objective.lead(liked, features, pooled)
        shown = objective.preview(objective.model, batches.preview())
    for one in range(3):
        mine = prompt == one
        assert torch.allclose(leads[mine], scores[mine] - scores[mine].mean(), atol=1e-4)
    order = leads.argsort(descending=True)
    images = batches.pictures.tensor(torch.cat([order[:12], order[-12:].flip(0)]), "cpu")
    assert torch.allclose(shown, images)


def test_the_judge_never_sees_the_other_halfs_votes(parts):
    objective, batches = parts
    batch = batches(0)
    raters = objective.votes.rater[batch.rows]
    taken = {name: set(raters[weights.sum(0) > 0].tolist()) for name, weights in batch.weights.items()}
    assert taken["preference"]
    assert taken["judge"]
    assert not taken["preference"] & taken["judge"]
    assert {part.config["net"] for part in objective.model.values()} == {"alex", "vgg"}
    assert halves(7, stream(0, "raters")).sum() == 4


def test_members_learn_from_different_votes(parts):
    weights = parts[1].weights
    one, other = weights["preference"][:2]
    assert not torch.equal(one, other)
    assert (weights["preference"].sum() + weights["judge"].sum()) / 4 == pytest.approx(len(one), rel=0.2)


@pytest.mark.slow
def test_a_stopped_training_goes_on_bit_for_bit(learned, tmp_path, monkeypatch):
    monkeypatch.setattr(PreferenceObjective, "foretold", lambda *_: [])
    config = replace(learned[1], trainer=replace(learned[1].trainer, updates=6))
    assert train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        assert not train(config, tmp_path / "halves")
    assert train(config, tmp_path / "halves")
    names = ("preference", "judge")
    whole, parts = (
        [(tmp_path / run / "model" / n / "head.safetensors").read_bytes() for n in names] for run in ("whole", "halves")
    )
    assert whole == parts


def test_agreement_is_of_two_people_on_one_pair(export):
    votes = read_votes(export)
    assert agreement(votes) == pytest.approx(0.77, abs=0.08)
    alike = replace(votes, answer=torch.where(votes.left < votes.right, 0, 2))
    assert agreement(alike) == 1  # whichever side it stood on


def test_people_of_whom_no_two_saw_one_pair_have_no_agreement(export):
    votes = read_votes(export)
    apart = replace(votes, rater=votes.rater[:1].expand(len(votes)))
    assert agreement(apart) is None
    part = accuracy("prompt", torch.ones(4), torch.arange(4), torch.tensor([0, 0, 1, 1]))
    alone = Foretold("", part, part, agreement(apart))
    assert (alone.plain()["agreement"], alone.plain()["ceiling"]) == (None, None)
    assert "| unknown | unknown |" in in_words([alone])


@pytest.mark.parametrize("left_out", ["prompt", "rater"])
@pytest.mark.parametrize("shared", [0, 1])
def test_an_accuracys_interval_is_over_prompts_and_raters_whichever_was_left_out(left_out, shared):
    right = torch.tensor([True] * 30 + [False] * 10)
    few, many = torch.arange(40) // 10, torch.arange(40)  # four, each foretold or not as a whole; or forty
    one = accuracy(left_out, right, *((few, many), (many, few))[shared])
    other = accuracy(left_out, right, many, many.flip(0))
    assert one.value == other.value == 0.75
    assert one.high - one.low > 2 * (other.high - other.low)
    assert 0 <= one.low < one.high <= 1
    half = student.ppf(0.975, 39) * (0.75 * 0.25 / 39) ** 0.5  # that of a mean of forty
    assert (other.low, other.high) == pytest.approx((0.75 - half, 0.75 + half))


def test_a_tables_cells_are_not_counted_twice():
    """Three raters on five prompts: by hand, over prompts and over raters less over answers."""
    right = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0], [1, 1, 1]]).bool()
    prompt, rater = (of.flatten() for of in torch.meshgrid(torch.arange(5), torch.arange(3), indexing="ij"))
    off = right.double() - 10 / 15
    over = [5 / 4 * (off.sum(1) ** 2).sum(), 3 / 2 * (off.sum(0) ** 2).sum(), 15 / 14 * (off**2).sum()]
    half = student.ppf(0.975, 2) * (max(over[0] + over[1] - over[2], *over[:2]) ** 0.5 / 15)
    found = accuracy("rater", right.flatten(), prompt, rater)
    assert (found.low, found.high) == pytest.approx((max(0, 10 / 15 - half), min(1, 10 / 15 + half)))


@pytest.mark.parametrize(
    ("loss", "given", "sentence"),
    [
        ("l2+preference", {}, "--preference-from NAME"),
        ("l2", {"preference_from": "warm"}, "a preference term to the loss"),
        ("l2+anchor+preference.overall", {"preference_from": "warm", "patience": 0}, "patience is 0"),
        ("l2", {"follow_unsure": True}, "--follow-unsure is of a preference"),
    ],
)
def test_a_preference_and_its_loss_come_together(loss, given, sentence):
    with pytest.raises(UserError, match=sentence):
        EndToEndConfig(init="l2", loss=LossSpec.parse(loss), **given)


def test_a_preference_brings_an_anchor_along_unless_one_is_given():
    given = {"init": "l2", "preference_from": "warm"}
    alone = EndToEndConfig(loss=LossSpec.parse("lpips+preference:0.1"), **given)
    assert str(alone.loss) == "lpips+preference:0.1+anchor:0.3"
    held = EndToEndConfig(loss=LossSpec.parse("lpips+anchor:2+preference:0.1"), **given)
    assert str(held.loss) == "lpips+anchor:2+preference:0.1"
    assert str(EndToEndConfig(init="l2", loss=LossSpec.parse("lpips")).loss) == "lpips"


def test_a_loss_may_name_the_question():
    spec = LossSpec.parse("l2+anchor+preference.which is warmer:0.1")
    assert spec.preferences == {"preference.which is warmer": "which is warmer"}
    assert LossSpec.parse(str(spec)) == spec
    with pytest.raises(UserError, match="Unknown loss"):
        LossSpec.parse("liking")


def test_a_preference_that_nobody_would_judge_is_refused(pleasing, tmp_path):
    with pytest.raises(UserError, match=r"hold some out with --data\.held-out"):
        train(pleasing, tmp_path)


@pytest.fixture
def pleasing_backbone(pleasing, learned):
    loss = LossSpec.parse("anchor:0.01+preference")
    asked = BackboneEndToEndConfig(backbone="tiny:sd", loss=loss, preference_from=str(learned[0] / "model"))
    data = replace(pleasing.data, resolution=32, held_out=0.2)
    return RunConfig(asked, data=data, trainer=replace(pleasing.trainer, updates=2, held_out_every=1, preview_every=2))


@pytest.mark.slow
def test_a_backbone_of_any_kind_is_trained_for_what_people_like(pleasing_backbone, tmp_path):
    assert train(pleasing_backbone, tmp_path)
    assert all(line.value("judge") is not None for line in read_metrics(tmp_path))


def test_a_preference_reads_a_backbones_captions_and_images_as_it_learned_to(pleasing_backbone):
    objective, batches = build(pleasing_backbone)
    batch = batches(0)
    assert objective(batch, UpdateSeeds(0, 0)).terms["preference"].item() == pytest.approx(np.log(2), abs=0.01)
    assert objective.liking.read(batch).equal(MiniLM()(batch.captions).pooled)
    small, large = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 64, 64)
    assert objective.liking.preference(small, torch.randn(2, 384)).shape == (2, 2, 1)
    assert objective.liking.preference(large, torch.randn(2, 384)).shape == (2, 2, 1)
    with pytest.raises(UserError, match=r"train on the set itself, with --data\.stream"):
        objective(replace(batch, captions=()), UpdateSeeds(0, 0))
    with pytest.raises(UserError, match="whole pictures"):
        replace(pleasing_backbone.objective, decode="crop")


@pytest.fixture
def pleasing(run_config, learned):
    return options(
        run_config,
        loss="l2:0.01+anchor:0.5+preference.overall",
        preference_from=str(learned[0] / "model"),
        precompute=False,
    )


def test_a_preference_that_has_learned_nothing_sure_is_refused(pleasing, learned, tmp_path):
    by_lot = shutil.copytree(learned[0] / "model", tmp_path / "by-lot")
    found = json.loads((by_lot / "accuracy.json").read_text())
    found[1]["prompts"] |= {"value": 0.46, "low": 0.42, "high": 0.51}  # of the one question that is asked for
    (by_lot / "accuracy.json").write_text(json.dumps(found))
    asked = options(pleasing, preference_from=str(by_lot))
    with pytest.raises(UserError, match=r"new prompts, 0\.46 \(0\.42 to 0\.51\) are foretold.*--follow-unsure"):
        build(asked)
    build(options(asked, follow_unsure=True))
    (by_lot / "accuracy.json").write_text("{")
    with pytest.raises(UserError, match=r"accuracy\.json is missing or damaged"):
        build(asked)


def test_it_is_over_when_the_judge_saw_no_gain_for_so_long():
    judge = lambda *scores: [{"judge": score} for score in scores]
    liking = Liking.__new__(Liking)
    torch.nn.Module.__init__(liking)
    liking.patience = 2
    assert not liking.exhausted(judge(3.0, 2.0))
    assert liking.exhausted(judge(3.0, 2.0, 3.0))
    assert not liking.exhausted(judge(3.0, 2.0, 4.0))
    assert not liking.exhausted(judge(1.0, 3.0, 2.0))
    assert liking.exhausted(judge(1.0, 3.0, 2.0, 1.0))
    assert not liking.exhausted([{"held_out": 1.0}, *judge(3.0, 2.0)])
    assert liking.best(judge(1.0, 3.0, 3.0)) == 1
    assert liking.best([{}, *judge(-5.0), {}]) == 1
    assert liking.best([]) is None
    assert not liking.train().training


def test_a_reward_is_what_people_would_say_of_an_image_beside_that_of_the_start(learned):
    preference, judge = (Preference.load(learned[0] / "model" / name) for name in ("preference", "judge"))
    liking = Liking(preference, judge, {"all": "", "one": "overall"}, patience=1)
    images, before = (torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(n)) * 2 - 1 for n in (0, 1))
    pooled = torch.nn.functional.normalize(torch.randn(3, 384, generator=torch.Generator().manual_seed(2)), dim=-1)
    with torch.no_grad():
        rewards = {model: model.reward(images, before, pooled, "overall") for model in (preference, judge)}
        terms, watched = liking.terms(images, before, pooled), liking.watched(images, before, pooled)
        every = preference.reward(images, before, pooled, "")
    assert terms["one"].item() == pytest.approx((1 + (-rewards[preference]).exp()).log().mean().item(), rel=1e-4)
    assert terms["all"].item() == pytest.approx((1 + (-every).exp()).log().mean().item(), rel=1e-4)
    assert watched["judge"].item() == pytest.approx(rewards[judge].mean().item(), rel=1e-4)
    assert watched["reward"].item() == pytest.approx((rewards[preference] + every).mean().item() / 2, rel=1e-4)


def test_an_unknown_question_is_refused(pleasing):
    with pytest.raises(UserError, match="knows no question 'taste': choose one of overall"):
        build(options(pleasing, loss="anchor+preference.taste"))


def test_features_are_in_units_of_what_images_of_one_prompt_differ_by_and_kinds_count_alike(learned):
    preference = Preference.load(learned[0] / "model" / "preference")
    size = preference.features.size
    prompts = 5 * torch.randn(60, size, generator=torch.Generator().manual_seed(0))
    prompts[:, 3] = 1.0  # what never differs
    left, right = (prompts + torch.randn(60, size, generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    left[:, 3] = right[:, 3] = 1.0
    preference.measure(left, right)
    apart = preference.standardised(left) - preference.standardised(right)
    variance = [kind.var(dim=0).sum() / 2 for kind in apart.split(preference.features.kinds, dim=1)]
    assert torch.stack(variance[1:]).allclose(torch.tensor(size / len(variance)), rtol=0.1)
    assert apart[:, 3].abs().max() == 0


def test_the_anchor_is_the_distance_to_what_the_start_makes_of_the_same_noise(pleasing):
    objective, batches = build(pleasing)
    terms = objective(batches(0), UpdateSeeds(0, 0)).terms
    assert terms["anchor"].item() == 0
    assert terms["preference.overall"].item() == pytest.approx(np.log(2), abs=0.01)  # nobody can tell them apart
    terms["preference.overall"].backward()
    assert all(weights.grad.isfinite().all() for weights in objective.model.transformers.parameters())
    with torch.no_grad():
        for weights in objective.model.transformers.parameters():
            weights += 0.05
    assert objective(batches(0), UpdateSeeds(0, 0)).terms["anchor"].item() > 0
    assert not any(
        weights.requires_grad for part in (objective.start, objective.liking) for weights in part.parameters()
    )


def test_what_people_like_is_trained_for_and_watched(pleasing, tmp_path):
    data = replace(pleasing.data, held_out=0.2)
    trainer = replace(pleasing.trainer, updates=15, held_out_every=5, lr=8e-3)
    config = replace(options(pleasing, loss="anchor:0.01+preference", coarse_lr_share=1.0), data=data, trainer=trainer)
    assert train(config, tmp_path)
    lines = read_metrics(tmp_path)
    rewards = [line.value("preference") for line in lines]
    assert np.mean(rewards[-5:]) < np.mean(rewards[:5]) - 0.02
    watched = [line for line in lines if line.value("judge") is not None]
    assert [line.update for line in watched] == [5, 10, 15]
    assert all(line.value("reward") is not None for line in watched)


def test_a_training_ends_when_its_judge_sees_no_gain(pleasing, tmp_path, monkeypatch, capsys):
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.9])
    monkeypatch.setattr(Liking, "watched", lambda *_: {"reward": torch.zeros(()), "judge": torch.tensor(next(scores))})
    trainer = replace(pleasing.trainer, updates=10, held_out_every=1)
    config = replace(options(pleasing, patience=2), data=replace(pleasing.data, held_out=0.2), trainer=trainer)
    assert train(config, tmp_path)
    assert read_metrics(tmp_path)[-1].update == 4
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| updates | 4 of" in card
    assert "after update 2, of which the judge thought most" in card
    last = torch.load(next((tmp_path / "checkpoints").iterdir()) / "custom_checkpoint_0.pkl", weights_only=True)
    best, written = load_file(tmp_path / BEST), load_file(tmp_path / "model" / "denoiser" / WEIGHTS)
    assert all(torch.equal(written[name], value.half()) for name, value in best.items())
    assert any(not torch.equal(*pair) for pair in zip(best.values(), last["shadow_params"], strict=True))
    capsys.readouterr()
    assert train(replace(config, trainer=replace(trainer, updates=20)), tmp_path)  # nothing more is watched
    assert "After 4 of 20 updates this training has ended: its judge saw no gain" in capsys.readouterr().out
