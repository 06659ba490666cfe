"""What is behind the pages, without a browser."""

import json
import shutil
import socket
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import gradio as gr
import pytest
from PIL import Image

from app import settings as settings_module
from app.admin.page import build_admin
from app.engine import catalogue as models_module
from app.engine import services as services_module
from app.engine.catalogue import Models
from app.engine.estimate import in_words
from app.engine.events import Ended, Estimate, Event, Finished, Flag, Loading, Started, Waiting
from app.engine.orders import Order
from app.engine.queue import Turns
from app.engine.services import Services
from app.engine.standing import State, sentence
from app.engine.trainings import Trainings
from app.engine.wording import Wording, wording
from app.errors import ForgedError
from app.pages.generate.progress import Progress, alike, summary
from app.pages.generate.reading import describe_reading, other_names
from app.server import serve
from app.settings import ServerSettings
from app.studies.ready import Studies
from app.ui import build_ui
from e2ed2.data.emoji import split_style
from e2ed2.errors import STOPPED_EARLY, UserError
from e2ed2.files import runs_folder
from e2ed2.inference.request import MAX_SEED, Request
from e2ed2.models.weights import load_denoiser
from e2ed2.reading.reader import Candidate, Reading
from tests.study.stores import open_store

GOOD = {"prompt": "red apple", "model": "l2", "steps": 4, "seed": 7, "count": 3}


@pytest.fixture
def services(checkpoints) -> Services:
    return Services(checkpoints)


class Site(NamedTuple):
    pages: gr.Blocks
    services: Services
    studies: Studies


@pytest.fixture(scope="module")
def site(checkpoints, tmp_path_factory) -> Site:
    """All pages, built once: each test is a visitor of its own."""
    services = Services(checkpoints)
    studies = Studies(open_store(tmp_path_factory.mktemp("site")), checkpoints)
    return Site(build_ui(services, studies), services, studies)


def visitor(name: str) -> SimpleNamespace:
    return SimpleNamespace(session_hash=name, headers={}, url="http://127.0.0.1/")


def test_a_plan_has_one_seed_for_each_picture(services):
    planned = services.plan(**GOOD)
    assert planned == [Request("red apple", "l2", 4, 7 + i, one.caption) for i, one in enumerate(planned)]
    assert planned[0].caption == "red apple, flat style"
    assert len({one.caption for one in planned}) == 3  # each by another artist


def test_a_prompt_is_read_unless_the_visitor_wants_otherwise(services):
    assert services.read("kitty", "l2") is services.read("kitty", "l2")  # a page asks several times

    def captions(prompt="kitty", **wanted) -> list[str]:
        return [one.caption for one in services.plan(**GOOD | {"prompt": prompt}, wording=Wording(**wanted))]

    first, *others = captions()
    assert first == "cat face, flat style"
    assert {split_style(one)[0] for one in others} <= {"cat", "cat face", "grinning cat"}
    assert captions(exactly=True) == captions("linear algebra") == ["", "", ""]
    assert captions(read_as="tiger", style="noto") == ["tiger, noto style"] * 3
    assert captions("tiger, noto style", style="flat") == ["tiger, noto style"] * 3
    with pytest.raises(ForgedError, match="read_as"):
        captions(read_as="quarks")


@pytest.mark.parametrize("forged", [{"style": "cubist"}, {"exactly": 1}, {"read_as": ["cat"]}, {"style": None}])
def test_how_a_prompt_is_read_is_checked(forged):
    with pytest.raises(ForgedError, match=next(iter(forged))):
        wording(**{"style": "flat", "exactly": False, "read_as": ""} | forged)


def test_a_model_of_other_pictures_is_given_the_prompts_own_words(checkpoints, tmp_path):
    shutil.copytree(checkpoints / "l2", tmp_path / "own" / "mine" / "model")
    (tmp_path / "own" / "mine" / "model" / "run.json").write_text('{"config": {"data": {"path": "/my/images"}}}')
    (request,) = Services(checkpoints, tmp_path).plan("kitty", "own/mine", 4, 7)
    assert (request.caption, request.words) == ("", "kitty")


def test_a_reading_in_words():
    requests = [Request("kitty", "l2", 4, seed, f"{name}, flat style") for seed, name in enumerate(("cat", "cat face"))]
    reading = Reading(
        (Candidate("cat", 0.5), Candidate("cat face", 0.2), Candidate("tiger", 0.1)), "", ("cat",), "kitty"
    )
    assert describe_reading(requests[:1], reading) == "Read as: **cat**, flat style."
    assert describe_reading(requests, reading) == "Read as: **cat** or **cat face**."
    told = "Read as: **cat**, flat style. The models were never shown “lynx”."
    assert describe_reading(requests[:1], replace(reading, never_shown="lynx")) == told
    assert other_names(requests[:1], reading) == ["cat face", "tiger"]
    unread = [Request("linear algebra", "l2", 4, 7)]
    assert describe_reading(unread, replace(reading, candidates=())).startswith("Not read: this is far from all")
    other_script = replace(reading, candidates=(), words="تفاحة حمراء")
    assert (
        describe_reading(unread, other_script)
        == "Not read: the models know English words and emoji, so the model is given this as it is."
    )
    assert describe_reading(unread) == ""
    assert other_names(unread, None) == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"prompt": "  "},
        {"prompt": "\u200b\u200d \u202e"},
        {"prompt": "a" * 201},
        {"seed": -1},
        {"seed": None},
        {"seed": MAX_SEED},
    ],
)
def test_a_visitor_can_mend_this(services, mistake):
    with pytest.raises(UserError):
        services.plan(**GOOD | mistake)


def test_a_new_study_begins_with_models_that_take_as_many_steps(with_independent, tmp_path):
    assert Studies(open_store(tmp_path), with_independent).usual_models == ("l2", "l2-lpips")


def test_a_visitors_model_is_in_no_study_of_the_bundled_ones(checkpoints, tmp_path):
    shutil.copytree(checkpoints / "l2", tmp_path / "own" / "mine" / "model")
    models = Models(checkpoints, tmp_path)
    assert "own/mine" in models.names()
    assert models.of_steps(4) == ("l2", "l2-lpips")


def test_a_training_that_fails_after_it_saved_says_why(checkpoints, tmp_path, monkeypatch):
    instead_of_python(tmp_path, monkeypatch, "echo 'No room is left.'\nexit 2")
    trainings = Trainings(Models(checkpoints, tmp_path))
    run = kept_training(tmp_path, "mine")
    (run / "checkpoints" / "000010").mkdir(parents=True)
    assert trainings.state("mine").trouble == ""
    trainings.go_on("mine")
    while trainings.going():
        pass
    assert "No room is left." in sentence(trainings.state("mine"))


def test_a_training_that_was_stopped_before_its_first_update_can_go_on(checkpoints, tmp_path):
    trainings = Trainings(Models(checkpoints, tmp_path))
    run = kept_training(tmp_path, "mine")
    for last in (STOPPED_EARLY, "Traceback (most recent call last):\nKeyboardInterrupt"):
        (run / "log.txt").write_text(f"Loading\n{last}\n")
        assert sentence(trainings.state("mine")) == "mine was stopped after 0 of 50 updates; it can go on."


def test_a_training_that_is_stopped_at_once_was_stopped(checkpoints, tmp_path, monkeypatch):
    """Before Python itself is there, a signal ends it without a word."""
    instead_of_python(tmp_path, monkeypatch, "exec sleep 60")
    trainings = Trainings(Models(checkpoints, tmp_path))
    kept_training(tmp_path, "mine")
    trainings.go_on("mine")
    trainings.stop()
    while trainings.going():
        pass
    assert sentence(trainings.state("mine")) == "mine was stopped after 0 of 50 updates; it can go on."


def instead_of_python(folder: Path, monkeypatch, script: str) -> None:
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(file))


def kept_training(folder: Path, name: str, **said: object) -> Path:
    run = folder / "own" / name
    run.mkdir(parents=True)
    (run / "order.json").write_text(json.dumps({"updates": 50, "command": []} | said))
    (run / "log.txt").write_text("")
    return run


def test_trainings_have_names_and_notes_and_are_deleted(checkpoints, tmp_path):
    trainings = Trainings(Models(checkpoints, tmp_path))
    run = kept_training(tmp_path, "apples", note="rounder ones")
    assert trainings.note("apples") == "rounder ones"
    with pytest.raises(UserError, match="a training called apples already"):
        trainings.start(Order("l2", "l2", 50, name="Apples"))
    with pytest.raises(UserError, match="not finished"):
        trainings.package("apples", tmp_path)
    trainings.delete("apples")
    assert not run.exists()
    for gone in ("apples", "../own", ""):
        with pytest.raises(UserError, match="no such training"):
            trainings.delete(gone)


def test_a_finished_training_can_be_taken_home(checkpoints, tmp_path):
    run = kept_training(tmp_path, "apples")
    shutil.copytree(checkpoints / "l2", run / "model")
    shutil.copytree(checkpoints / "codec", run / "model" / "codec")
    (run / "model" / "README.md").write_text("a card")
    with zipfile.ZipFile(Trainings(Models(checkpoints, tmp_path)).package("apples", tmp_path)) as archive:
        names = set(archive.namelist())
    assert {"apples/model_index.json", "apples/README.md"} <= names
    assert any(name.startswith("apples/codec/") for name in names)


def test_what_a_training_will_cost_in_words():
    said = (
        "3.40 M trained parameters\n12.1 GFLOP an update of 16 pictures\n4.0 samples/s on cpu in float32, about 3 min"
    )
    words = in_words(said, Order("lpips", "l2", 50))
    assert words.startswith("It changes 3.40 million numbers of lpips and takes about 3 minutes here")  # 50 * 16 / 4 s
    with pytest.raises(UserError, match="cannot be measured"):
        in_words("nothing", Order("lpips", "l2", 50))


def test_how_long_a_training_takes_and_that_it_is_being_saved():
    going = State("mine", done=10, updates=50, going=True, stopping=False, finished=False, seconds_left=240)
    assert sentence(going) == "mine: 10 of 50 updates done. About 4 minutes left."
    assert sentence(replace(going, done=48, seconds_left=12.4)).endswith("About 12 seconds left.")
    assert sentence(replace(going, done=1, seconds_left=None)) == "mine: 1 of 50 updates done."
    assert sentence(replace(going, done=50)) == "mine has made all 50 updates, and is being saved."


def test_the_time_left_is_that_of_the_updates_after_the_first(checkpoints, tmp_path):
    run = tmp_path / "own" / "mine"
    run.mkdir(parents=True)
    (run / "order.json").write_text(json.dumps({"updates": 50, "command": []}))
    (run / "log.txt").write_text("")
    lines = [{"update": n, "seconds": 90 + 10 * n, "terms": {}, "loss": 1.0} for n in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert Trainings(Models(checkpoints, tmp_path)).state("mine").seconds_left == pytest.approx(470)


@pytest.mark.parametrize(
    "forgery",
    [{name: value} for name in ("steps", "count") for value in (0, 9, 2.5, True, None, "2", [2], float("nan"))]
    + [{"prompt": None}, {"prompt": ["red apple"]}, {"model": "codec"}, {"model": "../l2"}, {"model": ["l2"]}],
)
def test_only_a_forged_request_sends_this(services, forgery):
    with pytest.raises(ForgedError):
        services.plan(**GOOD | forgery)


def test_visitors_share_a_model_and_take_turns(services, monkeypatch):
    loads, met = [], []
    meeting = threading.Barrier(2)

    def count_load(folder):
        loads.append(folder.name)
        return load_denoiser(folder)

    def sample_alone(pipeline, settings):
        try:
            meeting.wait(timeout=0.05)  # passes only if another visitor's picture is sampled at the same time
            met.append(settings)
        except threading.BrokenBarrierError:
            meeting.reset()
        return Image.new("RGB", (128, 128))

    monkeypatch.setattr(models_module, "load_denoiser", count_load)
    monkeypatch.setattr(services_module, "sample_image", sample_alone)
    ready = threading.Barrier(8)

    def visit(settings: Request) -> None:
        ready.wait()
        services.picture(settings)

    jobs = [Request("red apple", model, 1, seed) for model in ("l2", "l2-lpips") for seed in range(4)]
    with ThreadPoolExecutor(8) as visitors:
        list(visitors.map(visit, jobs))
    assert sorted(loads) == ["l2", "l2-lpips"]
    assert not met


def test_the_first_to_come_is_the_first_served():
    turns, served = Turns(), []

    def visit(number: int) -> None:
        with turns.take():
            served.append(number)

    visitors = [threading.Thread(target=visit, args=[number]) for number in range(6)]
    with turns.take():
        for number, visitor in enumerate(visitors, 1):
            visitor.start()
            while len(turns) <= number:  # it stands in the queue
                pass
    for visitor in visitors:
        visitor.join()
    assert served == list(range(6))


def test_a_visitor_sees_the_place_in_the_queue_and_may_leave_it(services):
    job, stopped, left = Request("red apple", "l2", 2, 7), threading.Event(), threading.Event()
    services.models.load("l2")
    with ExitStack() as before:
        before.enter_context(services.turns.take())
        waiting = services.sample(job, left)
        assert next(waiting) == Waiting(1)
        second = services.sample(job, stopped)
        assert next(second) == Waiting(2)
        left.set()
    assert list(waiting) == []  # gave the place up
    assert [type(event) for event in second][-2:] == [Estimate, Finished]
    assert len(services.turns) == 0


def test_what_happens_in_words(tmp_path):
    requests = [Request("red apple", "l2", 2, seed) for seed in range(8)]
    progress = Progress(requests, tmp_path, inside=True)

    def said(event: Event) -> str:
        progress.add(event)
        return progress.status

    one = Image.new("RGB", (8, 8))
    assert said(Loading()) == "Getting the model ready …"
    assert said(Started(requests[0])) == "Generating picture 1 of 8 …"
    assert said(Waiting(2)) == "**Waiting for your turn:** 2 pictures of other visitors come first. ● ● ○"
    assert said(Waiting(1)) == "**Waiting for your turn:** 1 picture of another visitor comes first. ● ○"
    assert said(Estimate(1, one, shared=False)) == "Generating picture 1 of 8 …"
    assert progress.pictures[0] == (one, "step 1 of 2")
    assert len(progress.pictures) == 8  # the others have their places, so that nothing moves when they come
    progress.add(Finished(requests[0], one))
    assert progress.pictures[0] == (str(tmp_path / "red-apple_l2_2-steps_seed-0.png"), "seed 0")
    progress.add(Started(requests[1]))
    assert said(Waiting(1)) == "Generating picture 2 of 8, in turn with other visitors …"
    assert said(Estimate(1, one, shared=True)) == "Generating picture 2 of 8, in turn with other visitors …"
    assert said(Ended(1.0)) == "Stopped after 1 of 8 pictures in 1.0 s, seed 0."
    assert len(progress.pictures) == 1  # the one that was being generated is gone


def named(shown: dict) -> dict:
    """What a handler yields, by the components' names."""
    return {component.elem_id or component.label: value for component, value in shown.items()}


def test_stop_ends_this_visitors_pictures_only(site):
    functions = site.pages.fns.values()
    generate = next(function.fn for function in functions if function.api_name == "generate")
    runs = []
    for who in ("me", "you"):
        runs.append(generate("red apple", "l2", 1, 7, False, 3, True, "flat", False, "", None, request=visitor(who)))
    for run in runs:
        shown = (named(next(run))["status"] for _ in range(9))
        assert next(shown) == "Getting the model ready …"
        assert "Generating picture 2 of 3 …" in shown
    site.services.stop("me")
    mine, yours = (named(list(run)[-1]) for run in runs)
    assert mine["status"].startswith("Stopped after 1 of 3 pictures in ")  # the second is given up
    assert len(mine["pictures"]) == 1
    assert "count=1" in mine["address"]  # what is there, not what was asked for
    assert "seeds 7 to 9." in yours["status"]
    assert len(yours["pictures"]) == 3
    assert set(mine) == {
        "pictures",
        "status",
        "address",
        "reading",
        "Seed",
        "Download",
        None,
    }  # whole, for clients of the API


def test_stop_before_a_visitors_turn_has_come_is_not_forgotten(site):
    functions = site.pages.fns.values()
    generate = next(function.fn for function in functions if function.api_name == "generate")
    stop = next(function.fn for function in functions if function.name == "stop_generating")
    request = visitor("early")
    begun = Flag()
    stop(begun, request=request)
    shown = list(generate("red apple", "l2", 1, 7, False, 3, True, "flat", False, "", begun, request=request))
    assert named(shown[-1])["status"] == "Stopped before the first picture."
    again = list(generate("red apple", "l2", 1, 7, False, 1, True, "flat", False, "", None, request=request))
    assert "1 picture in" in named(again[-1])["status"]


FIELDS = {
    "generate": ("cat", "l2", 4, 7, False, 8, True, "flat", False, "", None),
    "compare": ("cat", ["l2", "l2-lpips"], 7, False),
    "compare_any": ("cat", "l2", 4, 7, "flat", False, "models", "l2, l2-lpips", "steps", "1, 2"),
    "make_list": ("cat\ndog\nfox", "l2", 1, 7, False, True, "flat", False, None),
}


@pytest.mark.parametrize("mistaken", FIELDS)
@pytest.mark.parametrize("before", FIELDS)
def test_a_mistake_is_not_painted_over_by_what_was_asked_for_before(site, mistaken, before):
    """Such as the pictures that the page begins with."""
    functions = {function.name: function.fn for function in site.pages.fns.values()}
    request = visitor(f"{mistaken} after {before}")
    earlier = functions[before](*FIELDS[before], request=request)
    next(earlier)
    with pytest.raises(gr.Error, match=r"empty|at least one"):
        list(functions[mistaken]("", *FIELDS[mistaken][1:], request=request))
    assert [named(answer) for answer in earlier] == [{"status": gr.skip()}]


@pytest.mark.parametrize("query", [{}, {"prompt": "cat"}])
@pytest.mark.parametrize("asked", ["trajectory", "seeds", "between"])
def test_a_mistake_made_while_the_trajectory_page_opens_stays(site, monkeypatch, query, asked):
    act = {function.api_name: function for function in site.pages.fns.values()}[asked]
    welcome = next(one.fn for one in site.pages.fns.values() if one.name == "welcome" and one.queue is False)
    request = visitor("opens")
    request.query_params = query
    plan = site.services.plan

    def mistaken(*given, **wanted):
        monkeypatch.setattr(site.services, "plan", plan)
        with pytest.raises(gr.Error, match="true or false"):
            list(act.fn("", *["l2"] * (len(act.inputs) - 1), request=request))
        return plan(*given, **wanted)

    fields = "cat", "l2", "l2-lpips", 4, 7, False, ""
    assert "table" in str(named(welcome(*fields, request=request)))
    monkeypatch.setattr(site.services, "plan", mistaken)
    assert named(welcome(*fields, request=request)) == {"status": gr.skip()}


def test_of_two_requests_that_come_with_one_flag_the_second_paints(site):
    """Two presses within milliseconds: both find the flag of the last one."""
    generate = next(function.fn for function in site.pages.fns.values() if function.api_name == "generate")
    begun = Flag()
    asked = "l2", 1, 7, False, 1, True, "flat", False, "", begun
    first = generate("red apple", *asked, request=visitor("quick"))
    next(first)
    assert "1 picture in" in named(list(generate("rocket", *asked, request=visitor("quick")))[-1])["status"]
    assert begun.is_set()
    assert [named(answer) for answer in first] == [{"status": gr.skip()}]


def test_buttons_wait_for_what_has_been_asked_for_but_not_begun(site):
    """What ran before may end in between; its end must not bring back the buttons of a page at rest."""
    functions = {function.name: function.fn for function in site.pages.fns.values()}
    request = visitor("waiting")

    def resting(name: str, begun: Flag | None) -> bool:
        answer = functions[name]([], [], begun, request=request)
        return next(iter(answer.values())).visible

    begun = Flag()
    assert resting("rest", None)
    assert not resting("rest", begun)
    with pytest.raises(gr.Error, match="empty"):
        list(functions["generate"]("", "l2", 1, 7, False, 1, True, "flat", False, "", begun, request=request))
    assert resting("rest", begun)
    lost = Flag()
    assert resting("give_up", lost)
    assert resting("rest", lost)


def test_the_steps_of_the_only_picture_come_after_it(site):
    """They are those of the Trajectory page; and while something else is asked for, the page keeps what it shows."""
    functions = {function.name: function for function in site.pages.fns.values()}
    rest, request = functions["rest"].fn, visitor("steps")
    _, trail, _ = functions["rest"].inputs

    def guesses(steps: int, count: int) -> list[Image.Image]:
        words = "flat", False, "", None
        answers = list(
            functions["generate"].fn("red apple", "l2", steps, 7, False, count, True, *words, request=request)
        )
        seen = [one[trail] for one in answers if trail in one]
        assert not any(seen[:-1])  # the picture is not kept waiting
        return seen[-1]

    def strip(trail: list[Image.Image], begun: Flag | None) -> dict:
        return named(rest([], trail, begun, request=request))["strip"]

    steps = guesses(4, 1)
    (asked,) = site.services.plan("red apple", "l2", 4, 7)
    assert [one.tobytes() for one in steps] == [look.clean.tobytes() for look in site.services.looks(asked)]
    assert strip(steps, None).visible
    assert strip(steps, None).value.count("<img") == 4
    assert strip(steps, Flag()) == gr.skip()
    assert guesses(1, 1) == guesses(4, 2) == []
    assert not strip([], None).visible


def test_the_summary_in_words():
    jobs = [Request("red apple", "l2", 4, seed) for seed in (7, 8)]
    assert summary(jobs, 2, 1.25) == "2 pictures in 1.2 s, seeds 7, 8."
    assert summary(jobs[:1], 1, 1) == "1 picture in 1.0 s, seed 7."
    assert summary(jobs, 1, 1) == "Stopped after 1 of 2 pictures in 1.0 s, seed 7."
    assert summary(jobs, 0, 0) == "Stopped before the first picture."
    many = [Request("red apple", "l2", 4, seed) for seed in (7, 8, 9, 3)]
    assert summary(many[:3], 3, 1) == "3 pictures in 1.0 s, seeds 7 to 9."
    assert summary(many, 4, 1) == "4 pictures in 1.0 s."  # each is below its picture


def test_pictures_that_hardly_differ_are_explained():
    one, other = (Image.new("RGB", (8, 8), colour) for colour in ("red", "#fe0000"))
    same = [Request("apple", "l2", 4, seed, "red apple, flat style") for seed in (7, 8)]
    assert "or the style “mixed”, has others" in alike(list(zip(same, (one, other), strict=True)))
    named = [replace(request, prompt="apple, flat style") for request in same]
    assert "or the prompt without its style, has others" in alike(list(zip(named, (one, other), strict=True)))
    assert alike([(same[0], one), (same[1], Image.new("RGB", (8, 8), "blue"))]) == ""
    assert alike([(same[0], one), (replace(same[1], caption="pear, flat style"), one)]) == ""


def test_an_address_in_use_is_one_sentence(site, capsys):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        settings = ServerSettings(port=busy.getsockname()[1])
        with pytest.raises(SystemExit) as exit:
            serve(*site, settings)
    assert exit.value.code == 2
    said = f"Cannot listen on 127.0.0.1, port {settings.port}: set another HOST or PORT.\n"
    assert capsys.readouterr().err == said


def test_a_space_is_reached_from_outside(monkeypatch):
    for name in ("HOST", "PORT", "SPACE_ID", "E2ED2_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    assert ServerSettings.from_environment() == ServerSettings("127.0.0.1", 7860)
    monkeypatch.setenv("SPACE_ID", "someone/e2ed2")
    assert ServerSettings.from_environment().host == "0.0.0.0"
    assert ServerSettings.from_environment().runs == runs_folder()


def test_a_space_keeps_its_state_where_it_survives(monkeypatch, tmp_path):
    for name in ("E2ED2_RUNS", "STUDY_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings_module, "PERSISTENT", tmp_path)
    monkeypatch.setenv("SPACE_ID", "someone/e2ed2")
    settings = ServerSettings.from_environment()
    assert (settings.runs, settings.study_data) == (tmp_path / "runs", tmp_path / "study-data")


def test_a_model_with_a_network_for_each_step_takes_its_own_number_only(with_independent):
    services = Services(with_independent)
    assert services.plan("red apple", "independent", 2, 7)
    with pytest.raises(UserError, match="independent was made for 2 steps only"):
        services.plan("red apple", "independent", 4, 7)


@pytest.mark.parametrize("build", ["pages", "admin"])
def test_nothing_on_a_page_waits_for_a_then_that_an_error_skips(site, build):
    """Gradio's browser code leaves out every `.then` after an error, so one may follow only what cannot fail."""
    blocks = site.pages if build == "pages" else build_admin(site.studies)
    events = blocks.fns
    followed = [(events[one.trigger_after], one) for one in events.values() if one.trigger_after is not None]
    assert followed
    either = [before for before, one in followed if not (one.trigger_only_on_success or one.trigger_only_on_failure)]
    assert all(before.fn is None for before in either)  # in the browser itself


def test_every_button_that_is_greyed_comes_back_after_an_error(site):
    """What the browser does at once to a button, some step undoes where the next fails."""
    events = site.pages.fns
    pressed = [one for one in events.values() if one.fn is None and one.js and '"interactive": false' in str(one.js)]
    assert len(pressed) >= 8
    for one in pressed:
        (following,) = [event for event in events.values() if event.trigger_after == one._id]
        while following.fn is None:
            (following,) = [event for event in events.values() if event.trigger_after == following._id]
        rescue = [e for e in events.values() if e.trigger_after == following._id and e.trigger_only_on_failure]
        assert {block._id for block in one.outputs if isinstance(block, gr.Button)} <= {
            block._id for event in rescue for block in event.outputs
        }
