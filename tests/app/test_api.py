"""Every page from Python, as the README promises: results for what can be asked, errors for what cannot."""

from collections.abc import Callable

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from app.settings import settings_or_exit

settings_or_exit()

PAINT = ("red apple", "l2", 2, 7)


def picture_files(gallery: list) -> list[str]:
    return [entry["image"] for entry in gallery]


def generated(*values: object) -> None:
    pictures, line, seed, link, file, read = values
    assert len(picture_files(pictures)) == 2
    assert "2 pictures" in line
    assert seed == 7
    assert "prompt=" in link
    assert file.endswith(".zip")
    assert read == "Read as: **red apple**, in several styles."


def compared(*values: object) -> None:
    table, line, png, html, *_ = values
    assert str(table).count("<img") >= 8
    assert "Seed 7" in line
    assert png.endswith(".png")
    assert html.endswith(".html")


def rows(gallery: list, line: str) -> None:
    assert len(gallery) >= 4
    assert all(picture_files(gallery))


# Every endpoint: what can be asked and what comes, and what cannot be asked.
CASES: dict[str, tuple[tuple, Callable[..., None], list[tuple]]] = {
    "/generate": (
        (*PAINT, False, 2),
        generated,
        [
            ("", "l2", 2, 7, False, 1),
            ("a" * 201, "l2", 2, 7, False, 1),
            (5, "l2", 2, 7, False, 1),
            ("cat", "nothing", 2, 7, False, 1),
            ("cat", ["l2"], 2, 7, False, 1),
            ("cat", "l2", 2.5, 7, False, 1),
            ("cat", "l2", 9, 7, False, 1),
            ("cat", "l2", "2", 7, False, 1),
            ("cat", "l2", 2, -1, False, 1),
            ("cat", "l2", 2, 1.5, False, 1),
            ("cat", "l2", 2, "7", False, 1),
            ("cat", "l2", 2, None, False, 1),
            ("cat", "l2", 2, 2**31, False, 1),
            ("cat", "l2", 2, 7, "no", 1),
            ("cat", "l2", 2, 7, False, 100),
            ("cat", "independent", 4, 7, False, 1),
        ],
    ),
    "/compare": (
        ("red apple", ["l2", "l2-lpips"], 7),
        compared,
        [("", ["l2"], 7), ("cat", [], 7), ("cat", "l2", 7), ("cat", ["nothing"], 7), ("cat", ["l2"], 1.5)],
    ),
    "/compare_any": (
        ("red apple", "l2", 2, 7, "flat", False, "seeds", "7, 8", "models", "l2, l2-lpips"),
        lambda table, line, png, html, manifest, *_: (
            None if str(table).count("<img") >= 4 and manifest.endswith(".json") else pytest.fail(line)
        ),
        [
            ("cat", "l2", 2, 7, "flat", False, "seeds", "7", "seeds", "8"),
            ("cat", "l2", 2, 7, "flat", False, "seeds", "x", "steps", "1"),
            ("cat", "l2", 2, 7, "flat", False, "colours", "x", "steps", "1"),
            ("", "l2", 2, 7, "flat", False, "seeds", "7", "steps", "1"),
        ],
    ),
    "/trajectory": (
        ("red apple", "l2", "l2-lpips", 2, 7),
        lambda table, line: None if str(table).count("<img") >= 8 else pytest.fail(str(table)[:200]),
        [("", "l2", "l2", 2, 7), ("cat", "l2", "nothing", 2, 7), ("cat", "l2", "l2", 2.5, 7)],
    ),
    "/seeds": (PAINT, rows, [("cat", "l2", 0, 7), ("cat", "l2", 2, -1)]),
    "/between": (
        (*PAINT, "sunflower"),
        rows,
        [(*PAINT, ""), (*PAINT, 5), (*PAINT, "a" * 201), ("", "l2", 2, 7, "cat")],
    ),
    "/curves": (
        (["measured"], "l2", "seconds"),
        lambda figure: None if figure["data"] else pytest.fail("an empty figure"),
        [
            (["nothing"], "l2", "update"),
            ([["measured"]], "l2", "update"),
            ([], "l2", "update"),
            (["measured"], "nothing", "update"),
            (["measured"], "l2", "x"),
        ],
    ),
    "/results": (
        ("train",),
        lambda table: None if {"model", "steps"} <= set(table[0]) else pytest.fail(str(table[0])),
        [("nothing",), (None,)],
    ),
    "/train": (
        (),
        lambda *_: None,
        [
            ("nothing", "l2", 50, None),
            ("l2", "x", 50, None),
            ("l2", "l2", 5.5, None),
            ("l2", "l2", 50, "x.png"),
            ("l2", "l2", 50, 5),
            ("l2", "l2", 50, [{"name": "x"}]),
            ("l2", "l2", 50, None, "", "", "x"),
        ],
    ),
    "/stop_training": ((), lambda line, *_: None if "stop" in line.lower() else pytest.fail(line), []),
}


@pytest.fixture(scope="module")
def client(serve_app, with_independent) -> Client:
    folder = with_independent / "measured"
    folder.mkdir(exist_ok=True)
    lines = "".join(f'{{"step": {i}, "seconds": {i}, "l2": {1 / i}}}\n' for i in range(1, 9))
    (folder / "metrics.jsonl").write_text(lines)
    return Client(serve_app(with_independent), verbose=False)


def test_every_endpoint_has_a_case(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == set(CASES)


@pytest.mark.parametrize("endpoint", [name for name in CASES if name != "/train"])
def test_what_can_be_asked_is_answered(client, endpoint):
    asked, check, _ = CASES[endpoint]
    answer = client.predict(*asked, api_name=endpoint)
    check(*(answer if isinstance(answer, tuple) else (answer,)))


@pytest.mark.parametrize("prompt", ["linear algebra", pytest.param("quantum field theory", marks=pytest.mark.slow)])
def test_a_prompt_far_from_everything_is_answered_with_pictures_too(client, prompt):
    pictures, _, _, link, file, read = client.predict(prompt, "l2", 2, 7, False, 1, api_name="/generate")
    assert read.startswith("Not read: this is far from all that the models know")
    assert "exactly=1" in link
    assert len(picture_files(pictures)) == 1
    assert file.endswith(".png")
    settings = Image.open(file).text
    assert (settings["prompt"], settings["caption"]) == (prompt, "")


def test_what_can_be_asked_of_the_results_can_be_told_apart(client):
    with pytest.raises(AppError, match=r"“visitor, read”, “.*” or “colour”"):
        client.predict("nothing", api_name="/results")


def test_a_prompt_is_read_as_a_client_wants(client):
    def asked(*wanted: object) -> tuple[str, str]:
        *_, file, read = client.predict("kitty", "l2", 1, 7, False, 1, True, *wanted, api_name="/generate")
        return Image.open(file).text["caption"], read

    assert asked() == ("cat face, flat style", "Read as: **cat face**, flat style.")
    assert asked("noto") == ("cat face, noto style", "Read as: **cat face**, noto style.")
    assert asked("noto", False, "tiger") == ("tiger, noto style", "Read as: **tiger**, noto style.")
    assert asked("flat", True) == ("", "")
    for forged in (("cubist",), ("flat", "yes"), ("flat", False, "quarks")):
        with pytest.raises(AppError, match=r"style must|exactly must|read_as must"):
            asked(*forged)


def test_what_of_a_prompt_has_no_effect_is_said(client):
    _, line, *_ = client.predict("red apple " * 19 + "zebra", "l2", 1, 7, False, 1, api_name="/generate")
    assert "zebra” has no effect" in line


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        pytest.param(name, bad, marks=pytest.mark.slow if number > 1 else [])  # two of each endpoint are quick
        for name, (_, _, all_bad) in CASES.items()
        for number, bad in enumerate(all_bad)
    ],
)
def test_what_cannot_be_asked_is_an_error_in_one_sentence(client, endpoint, asked):
    with pytest.raises(AppError) as error:
        client.predict(*asked, api_name=endpoint)
    said = str(error.value)
    assert said.rstrip().endswith(".")
    assert "Traceback" not in said
    assert "errors.pydantic.dev" not in said


# By hand, without a client that knows what there is


def test_an_endpoint_that_is_not_there_is_a_404_in_one_sentence(client):
    asked = {"data": [1]}
    for path, body in (
        ("call/nothing", asked),
        ("call/v2/nothing", {"prompt": "cat"}),
        ("run/predict", asked | {"fn_index": 99999}),
        ("queue/join", asked | {"fn_index": 99999, "session_hash": "by hand"}),
    ):
        answer = httpx.post(f"{client.src}gradio_api/{path}", json=body)
        assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (404, "There is no such endpoint")


def numbers_of(client: Client, name: str) -> list[int]:
    """The numbers of the endpoints with that name that have a function."""
    found = [one["id"] for one in client.config["dependencies"] if one["backend_fn"] and one["api_name"] == name]
    return found or pytest.fail(f"no endpoint {name}")


def said_to(client: Client, number: int, asked: dict, **headers: str) -> str:
    """The last message of an endpoint."""
    session = f"{number} {len(str(asked))} {len(headers)}"
    body = {"data": [], "fn_index": number, "session_hash": session} | asked
    httpx.post(f"{client.src}gradio_api/queue/join", json=body, headers=headers)
    address = f"{client.src}gradio_api/queue/data"
    with httpx.stream("GET", address, params={"session_hash": session}, timeout=20) as lines:
        return next(line for line in lines.iter_lines() if "process_completed" in line)


FROM_PAGE = {"x-gradio-user": "app"}


def test_what_the_pages_ask_for_is_refused_to_all_others(client, capfd):
    private = [one for one in client.config["dependencies"] if one["api_visibility"] == "private" and one["backend_fn"]]
    assert len(private) > 20
    for one in private[::15]:
        said = said_to(client, one["id"], {"data": [None] * len(one["inputs"])})
        assert "Only the pages themselves can ask for this" in said, one["api_name"]
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("event", [None, [], {}, {"pictures": 5, "settings": [1], "two": [1], "text": None, "name": 5}])
def test_an_event_that_says_nothing_leaves_no_traceback(client, capfd, event):
    for name in ("archive_of", "use_again", "between_two", "dropped_list", "choose"):
        said = said_to(client, numbers_of(client, name)[0], {"event_data": event}, **FROM_PAGE)
        assert event or "only the page itself can ask for this" in said, name
    assert "Traceback" not in "".join(capfd.readouterr())


def test_values_of_the_wrong_kind_leave_no_traceback(client, capfd):
    (number,) = numbers_of(client, "lines_of")
    assert "got a value of the wrong kind" in said_to(client, number, {"data": [5]}, **FROM_PAGE)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_what_no_page_sends_is_a_sentence_and_a_fault_of_the_server_stays_in_its_log(client, capfd, monkeypatch):
    for name in ("begin_axis", "side_by_side", "offer_terms", "draw", "offer_moments", "show_sheet", "look", "offer"):
        for number in numbers_of(client, name):
            inputs = next(one["inputs"] for one in client.config["dependencies"] if one["id"] == number)
            for forged in ({"a": 1}, [["a"]], 5, None):
                said_to(client, number, {"data": [forged] * len(inputs)}, **FROM_PAGE)
    (number,) = numbers_of(client, "lines_of")
    said_to(client, number, {"data": [None]}, **FROM_PAGE)
    assert "Traceback" not in "".join(capfd.readouterr())

    def broken(*_: object) -> None:
        raise KeyError("a fault")

    monkeypatch.setattr("app.pages.training.page.terms", broken)
    said_to(client, numbers_of(client, "offer_terms")[0], {"data": [[], "l2"]}, **FROM_PAGE)
    assert "KeyError: 'a fault'" in "".join(capfd.readouterr())


def test_too_few_values_are_told_without_objects_of_pythons(client):
    address = f"{client.src}gradio_api/call/generate"
    event = httpx.post(address, json={"data": ["cat"]}).json()["event_id"]
    answer = httpx.get(f"{address}/{event}", timeout=20).text
    assert "/generate got too few values" in answer
    assert "object at" not in answer
