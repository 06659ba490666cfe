"""An attacker on the real pages stays at chance, and finds each leak that is planted."""

import asyncio
import io
import random
from dataclasses import replace

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

from study.cli import main
from study.errors import StudyError
from study.images.library import bare
from study.protocol.parts import CheckShares, Exclusions, Page
from study.rehearsal import attack, browser
from study.rehearsal import certify as certifying
from study.rehearsal.attack import Attack, attacks
from study.rehearsal.certify import Certificate, certify
from study.rehearsal.visit import hash_of
from study.rehearsal.watching import Seen, Showing, Watcher
from study.reporting.export import export_study
from study.reporting.report import build
from study.stats.intervals import Interval
from study.store import places
from study.store.certificates import certificate_of, keep_certificate
from study.store.studies import create_study
from study.web import create_app
from tests.study.voting import rater, vote_all


@pytest.fixture
def store(default_store):
    return default_store


@pytest.fixture
def study(store, make_study):
    """8 pairs a rater, and nothing else: an attacker can use all of it. The rules leave out whoever is fast."""
    bare = CheckShares(0, 0, 0, 0)
    return make_study(store, pairs_per_rater=8, checks=bare, page=Page(practice=()), exclusions=Exclusions())


def certificate(accuracy: float, passed: bool) -> dict:
    tried = Attack("random forest", "prompts", 100, round(100 * accuracy), Interval(0.4, 0.6), not passed)
    found = Certificate("toy", 1, "", "2026-01-01T00:00:00", 100, 0.5, (tried,), passed, 0.7)
    return certifying.plain(found)


def test_nothing_of_the_real_pages_tells_the_arm_and_the_report_says_so(store, study, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(certifying, "LEAST", 40)
    monkeypatch.setattr(attack, "ALARM", 1e-4)  # else one honest study in a hundred fails
    main_of(monkeypatch, "certify", "toy", "--showings", "40")
    assert "Passed" in capsys.readouterr().out
    assert certificate_of(store.database, study)["showings"] == 40
    vote_all(store, rater(store, study))
    export_study(store, study, tmp_path)
    assert "nothing but the pixels gives the arms away" in build(tmp_path, tmp_path).read_text()


def main_of(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["study", *arguments])
    main()


def showings(count: int, leak: str = "", seed: int = 0) -> list[Showing]:
    """Random names, equal sizes; and one thing that tells the arm."""
    rng = random.Random(seed)
    found = []
    for i in range(count):
        arms = ("one", "two") if leak == "side" else tuple(rng.sample(("one", "two"), 2))
        seen = []
        for arm in arms:
            names = {"name": f" src=/{arm}.webp", "note": f" Software={arm}"}.get(leak, "")
            words = f"/i/{rng.getrandbits(64):016x}{names}"
            slower, larger = 3 * (leak == "time" and arm == "two"), 500 * (leak == "size" and arm == "one")
            seen.append(Seen(words, {"ms": rng.gauss(9, 1) + slower, "bytes": 40_000 + larger * rng.random()}))
        found.append(Showing(i // 8, f"prompt {i % 8}", f"<p class={rng.random()}>", i % 8, *seen, arms))
    return found


def test_a_classifier_finds_what_tells_and_nothing_where_nothing_does():
    assert not any(one.caught for one in attacks(showings(64)))
    assert any(one.caught for one in attacks(showings(64, "time")))


def test_nobody_is_asked_about_what_has_taught_anybody(monkeypatch):
    """Cross-validation would: its right answers come in pairs, and an honest study fails too often."""
    taught, asked = [], []

    def spy(model, features, labels, others):
        taught.append({row.tobytes() for row in features})
        asked.append({row.tobytes() for row in others})
        return labels[: len(others)]

    monkeypatch.setattr(attack, "_guesses", spy)
    found = attacks(showings(64))
    assert len(found) == len(asked) == 4
    for two in (slice(0, 2), slice(2, 4)):  # on unseen prompts, on unseen raters
        assert not set.union(*taught[two]) & set.union(*asked[two])
    assert all(20 <= len(one) == each.showings for one, each in zip(asked, found, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("leak", ["name", "note", "size", "side"])
def test_a_classifier_finds_other_leaks(leak):
    assert any(one.caught for one in attacks(showings(96, leak)))


@pytest.mark.slow
def test_the_false_alarms_are_as_few_as_it_says():
    """1% by the interval: of 12 tries two would fail once in 150 times."""
    assert sum(any(one.caught for one in attacks(showings(80, seed=i), i)) for i in range(12)) < 2


def arm_of(study, body: bytes) -> str:
    return {stimulus.sha256: stimulus.arm for stimulus in study.spec.images}.get(hash_of(body), "")


def planted(study, spoil):
    """A proxy that does something to each picture, knowing its arm."""

    async def between(request, call):
        response = await call(request)
        body = b"".join([part async for part in response.body_iterator])
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        arm = arm_of(study, body) if "/i/" in request.url.path else ""
        if arm:
            body, headers = await spoil(arm == "secretarmone", body, headers)
        return Response(body, response.status_code, headers)

    return lambda app: BaseHTTPMiddleware(app, between)


async def name(first, body, headers):
    return body, headers | {"content-disposition": f"inline; filename={'ours' if first else 'base'}_{len(body)}.webp"}


async def size(first, body, headers):
    return bare(body), headers


async def slower(first, body, headers):
    await asyncio.sleep(0.01 * first)
    return body, headers


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [name, size, slower])
def test_a_leak_that_is_planted_in_the_real_pages_is_caught(store, study, spoil):
    assert not certify(store, study, 96, around=planted(study, spoil)).passed


@pytest.mark.slow
def test_pictures_that_say_whose_they_are_are_caught(store, study):
    def noted(stimulus):
        buffer, exif = io.BytesIO(), Image.Exif()
        exif[0x0131] = {"secretarmone": "program one", "secretarmtwo": "program two"}[stimulus.arm]
        with Image.open(store.library.path(stimulus.sha256)) as image:
            image.save(buffer, "WEBP", lossless=True, exif=exif)
        return replace(stimulus, sha256=store.library.add(buffer.getvalue()))

    stimuli = tuple(map(noted, study.spec.stimuli))
    none = {"degraded": (), "gold_of": ()}
    spoilt = create_study(store.database, replace(study.spec, name="noted", stimuli=stimuli, **none))
    assert not certify(store, spoilt, 96).passed


@pytest.mark.slow
def test_an_arm_that_is_always_on_one_side_is_caught(store, study, monkeypatch):
    plan = places.plan

    def sided(*arguments, **named):
        return tuple(
            replace(a, left=min(a.left, a.right, key=lambda s: s.arm), right=max(a.left, a.right, key=lambda s: s.arm))
            for a in plan(*arguments, **named)
        )

    monkeypatch.setattr(places, "plan", sided)
    assert not certify(store, study, 96).passed


def test_a_pair_that_is_shown_for_each_question_is_one_showing(study):
    """Its addresses are the same each time: three guesses would be one, and honest studies failed too often."""
    images = study.spec.stimuli
    left, right = images[0], next(s for s in images if s.prompt == images[0].prompt and s.arm != images[0].arm)
    seen, watcher = Seen("", {}), Watcher(None, study.spec, 0)
    for assignment in ("one", "two", "one"):
        form = f'<form action="vote"><input type="hidden" name="assignment" value="{assignment}"></form>'
        watcher.page = browser.Page(httpx.Response(200, text=form))
        watcher._note([seen, seen], [left, right])
    assert len(watcher.showings) == 2


@pytest.mark.slow
def test_the_real_pages_pass_with_checks_and_practice_in_between(store, make_study, monkeypatch):
    monkeypatch.setattr(attack, "ALARM", 1e-4)  # else one honest study in a hundred fails
    study = make_study(
        store, "checked", exclusions=Exclusions(), mode="randomised", checks=CheckShares(0.3, 0, 0.3, 0.5)
    )
    found = certify(store, study, 120)
    assert found.passed
    assert 0.5 < found.noticed_from < 0.8


def test_certified_opens_nothing_that_has_not_passed(store, study, monkeypatch, capsys):
    link = f"/join/{study.token}"
    for known, told in ((None, "has no certificate yet"), (certificate(0.9, False), "failed its certification")):
        if known:
            keep_certificate(store.database, study, known)
        with pytest.raises(SystemExit):
            main_of(monkeypatch, "links", "toy", "--certified")
        assert told in capsys.readouterr().err
        with TestClient(create_app(store, certified=True)) as client:
            page = client.get(link)
            assert (page.status_code, client.post(link).status_code) == (403, 403)
            assert "has not been opened yet" in page.text
            assert "<form" not in page.text
    keep_certificate(store.database, study, certificate(0.5, True))
    main_of(monkeypatch, "links", "toy", "--certified")
    assert study.token in capsys.readouterr().out
    assert TestClient(create_app(store, certified=True)).get(link).status_code == 200


def test_too_few_showings_are_refused():
    with pytest.raises(StudyError, match="at least 60 showings"):
        certifying.main(["toy", "--showings", "10"])
