"""Losses and shared steps over seeds: what is compared, and what the figures allow to say."""

import json
import math

import numpy as np
import pytest

from e2ed2.evaluation.experiments import ablations
from e2ed2.evaluation.experiments.ablations import LOSSES, compared, main
from e2ed2.evaluation.experiments.small import OverSeeds, over_seeds
from e2ed2.evaluation.metrics.detail import detail_ratio
from e2ed2.evaluation.report import ablations as report
from e2ed2.evaluation.report.ablations import loss_findings, losses, sharing, sharing_findings
from e2ed2.training.metrics import Logged, Weighted
from e2ed2.training.presets import PRESETS

WOBBLE = (0.98, 1.0, 1.03)  # of three seeds


CEILING = {
    "captions": 500,
    "pictures": {"real drawings": {"train": {"distance": {"kid": -0.01, "fd": 0.1}}}},
}
ALIGNED = {"real drawings": {"train": {"top1": 0.98}}}


def figures(fd: float, top1: float = 0.5, detail: float = 0.9) -> dict:
    return over_seeds([{"fd": fd * x, "kid": 0.02 * fd * x, "top1": top1 * x, "detail": detail * x} for x in WOBBLE])


def found(gan_detail: float = 1.0, gan_top1: float = 0.45, independent: float = 1.1, wobble: float = 0.01) -> dict:
    sharing = [
        {"loss": math.log(independent) + x, "l2": 0.3 + x, "lpips": -0.2 - x, "unsteadiness": 0.5 + x}
        for x in (-wobble, 0.0, wobble)
    ]
    variants = {name: figures(30) for name in (*LOSSES, "independent", "shared-twin")}
    variants["l2"] = over_seeds([{"fd": fd, "kid": 0.02 * fd, "top1": 0.5, "detail": 0.9} for fd in (29.4, 30.3, 30.6)])
    variants |= {"l2-lpips": figures(20), "l2-lpips-gan": figures(15, gan_top1, gan_detail)}
    settings = OverSeeds(captions=500).settings()
    return {"settings": settings, "variants": variants, "sharing": over_seeds(sharing)}


def shown(one: dict) -> str:
    return losses(one, CEILING, ALIGNED)


def curve(l2: float, norms: tuple[float, float]) -> list[Logged]:
    """`l2` is that of the last quarter; the norms take turns."""
    lines = []
    for update in range(100):
        terms = {"l2": Weighted(l2 if update >= 75 else 9.0, 0.3), "lpips": Weighted(0.2, 1.0)}
        loss = 0.3 * l2 + 0.2 if update >= 75 else 9.0
        lines.append(Logged(update, 1.0, terms, {"grad_norm": norms[update % 2], "loss": loss}))
    return lines


def test_terms_are_compared_over_the_last_quarter_and_gradients_by_their_changes():
    logs = compared(curve(0.22, (1.0, 4.0)), curve(0.2, (1.0, 2.0)))
    assert math.exp(logs["l2"]) == pytest.approx(1.1)
    assert math.exp(logs["loss"]) == pytest.approx(0.266 / 0.26)
    assert logs["lpips"] == 0
    assert math.exp(logs["unsteadiness"]) == pytest.approx(2)


def test_detail_is_that_of_the_drawings_and_blur_takes_it():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    soft = (real.astype(float) / 4 + 96).astype(np.uint8)
    assert detail_ratio(real, real) == 1
    assert detail_ratio(soft, real) == pytest.approx(0.25, abs=0.02)
    assert detail_ratio(np.full_like(real, 200), real) == 0


def test_each_sentence_of_the_paper_has_its_own_verdict():
    assert [one.verdict for one in loss_findings(found())] == ["holds", "holds", "holds"]
    assert [one.verdict for one in loss_findings(found(gan_detail=0.8, gan_top1=0.6))] == ["holds", "not", "not"]
    assert [one.verdict for one in loss_findings(found(gan_detail=0.9, gan_top1=0.5))] == ["holds", "open", "open"]
    page = shown(found())
    ratio = "0.667 times (0.651 to 0.683)"
    assert (
        f"`l2-lpips` has {ratio} the KID and {ratio} the FD of `l2`, both distances to drawings: the claim hol" in page
    )
    assert all(words in page for words in ("3 seeds", "1000 updates", "500 captions a figure"))
    assert "`l2-lpips-gan` has the lowest mean KID and FD" in page
    assert "on the bundled codec" in page
    before = found()
    before["settings"]["coarse"] = "another"
    assert "on an earlier codec" in shown(before)


@pytest.mark.parametrize(
    ("independent", "wobble", "verdict"), [(1.1, 0.01, "holds"), (0.9, 0.01, "not"), (1.01, 0.3, "open")]
)
def test_sharing_is_judged_by_the_loss_over_seeds(independent, wobble, verdict):
    lower, steadier = sharing_findings(found(independent=independent, wobble=wobble))
    assert lower.verdict == verdict
    assert f"{independent:.3f} times (" in lower.figure
    assert steadier.verdict == ("holds" if wobble < 0.1 else "open")
    assert "FD of shared ones" in sharing(found())


@pytest.mark.parametrize(
    ("logs", "verdict"), [((0.19, 0.2, 0.21) * 3, "holds"), ((0.19, 0.2, 0.21) * 3 + (-0.01,), "open")]
)
def test_what_is_consistent_is_so_in_every_seed(logs, verdict):
    measured = found() | {"sharing": over_seeds([{"loss": x, "l2": x, "lpips": x, "unsteadiness": x} for x in logs])}
    lower, _ = sharing_findings(measured)
    assert "consistently" in lower.claim
    assert f"lower loss in 9 of {len(logs)} seeds" in lower.figure
    assert lower.verdict == verdict


def test_the_ceilings_of_a_table_are_those_of_its_captions_and_its_head():
    measured = found()
    assert "| real drawings | -0.010 | 0.1 | 0.980 |  |" in shown(measured)
    measured["settings"] |= {"captions": 2000, "head": "another"}
    assert "| real drawings | -0.010 |  |  |  |" in shown(measured)


def test_nothing_is_claimed_before_it_was_measured():
    assert shown({}) == sharing({}) == f"Run `{report.COMMAND}` first.\n"
    assert loss_findings({}) == sharing_findings({}) == []


def test_every_variant_has_the_same_start_seed_and_number_of_updates(tmp_path, monkeypatch):
    trainings = []

    def trained(config, folder):
        trainings.append((folder.name, config))
        return folder / "model", 1.0

    monkeypatch.setattr(ablations, "start_of", lambda options, seed: (tmp_path / f"start-{seed}", 1.0))
    monkeypatch.setattr(ablations, "trained", trained)
    monkeypatch.setattr(ablations, "measured", lambda *_: {"fd": 1.0, "kid": 0.1, "top1": 0.5})
    monkeypatch.setattr(ablations, "detail", lambda folder: 1.0)
    monkeypatch.setattr(ablations, "read_metrics", lambda folder: curve(0.2 + len(str(folder)) / 1e4, (1.0, 2.0)))
    monkeypatch.setattr(ablations, "OUT", tmp_path / "ablations.json")
    monkeypatch.setattr(
        "sys.argv", ["ablations", "--finish-updates", "7", "--runs", str(tmp_path), "--seeds", "3", "4"]
    )
    main()
    assert {(c.objective.init, c.trainer.seed, c.trainer.updates, c.trainer.batch_size) for _, c in trainings} == {
        (str(tmp_path / f"start-{seed}"), seed, 7, 32) for seed in (3, 4)
    }
    losses_of = {name.rsplit("-", 1)[0]: config.objective.loss for name, config in trainings}
    assert losses_of == {name: PRESETS[name].objective.loss for name in (*LOSSES, "shared-twin", "independent")}
    written = json.loads((tmp_path / "ablations.json").read_text())
    assert written["settings"]["seeds"] == [3, 4]
    assert str(tmp_path) not in json.dumps(written)  # where it was made is nobody's business
    assert "2 seeds" in shown(written)


def test_what_an_earlier_head_found_is_told_to_be_so():
    before = found()
    assert report.EARLIER_HEAD not in shown(before)
    before["settings"]["head"] = "another"
    assert report.EARLIER_HEAD in shown(before)
    assert [("an earlier retrieval head" in one.figure) for one in loss_findings(before)] == [False, False, True]
    assert report.EARLIER_HEAD not in sharing(before)  # which has no such figure
