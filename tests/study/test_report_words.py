"""Every sentence of a report's page, of the methods section and of what verification finds in a closed study.

They stand in tests/golden: report.md, methods.md, closing.md (see `tests.study.golden`).
"""

import base64
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from jinja2 import nodes

from study.protocol.balanced import commitment
from study.protocol.parts import Page, Question, Stopping
from study.reporting import blindness, closing, methods, paragraphs, words
from study.reporting.export import HEAD, PLAN
from study.reporting.manifest import add_to_manifest
from study.reporting.pictures import Pictures
from study.reporting.report import page_template
from study.reporting.words import Verdict
from study.stats.intervals import Interval
from study.store.signing import Key
from tests.study.golden import FOLDER, assert_golden, flat, phrases
from tests.study.specs import make_spec
from tests.study.test_words import METHODS, NOTHING, WON, estimate, one_question

ATTACKS = [{"accuracy": 0.52, "interval": {"low": 0.43, "high": 0.61}}] * 4
CERTIFICATES = {
    "passed": {"showings": 120, "attacks": ATTACKS, "chance": 0.5, "passed": True},
    "failed": {"showings": 1, "attacks": ATTACKS, "chance": 0.5, "passed": False},
}
PAIR = Pictures("a red apple", "ours", "theirs", 3, 1, 0, "images/0.png", "images/1.png")
DIVIDED = Pictures("a boat", "ours", "theirs", 2, 2, 2, "images/0.png", "images/1.png")
QUESTION = Question("overall", "Which is better?")


def question(**changes) -> SimpleNamespace:
    share = estimate(0.6, 0.5, 0.7)
    values = {
        **vars(one_question(WON, 0.01)),
        "categories": {},
        "pooling": None,
        "agreement": SimpleNamespace(observed=0.7, alpha=share),
        "consistency": SimpleNamespace(same=share, chance=0.4),
        "side": SimpleNamespace(left=share, identical_ties=share),
        "checks": SimpleNamespace(same_arm_ties=NOTHING, gold=share),
    }
    return SimpleNamespace(**(values | changes))


def pooling() -> SimpleNamespace:
    one = SimpleNamespace(category="animals", prompts=4, answers=40, alone=0.3, value=0.2, interval=Interval(0.1, 0.3))
    spread = {"spread": 0.1, "spread_interval": Interval(0.0, 0.2)}
    return SimpleNamespace(arm="ours", other="theirs", categories=(one,), **spread)


def flow(excluded: int) -> SimpleNamespace:
    rules = [SimpleNamespace(words="chose the picture on one side more than 15 times in a row", broken_by=["r"])]
    left = [f"r{i}" for i in range(excluded)]
    return SimpleNamespace(
        excluded=left, raters=["r"] * 9, answers=900, kept_answers=800, rules=rules if excluded else []
    )


def study(**changes) -> SimpleNamespace:
    values = {
        "name": "apples",
        "arms": ("ours", "theirs"),
        "prompts": ("",) * 12,
        "questions": (QUESTION,),
        "stopping": Stopping(),
        "by_visitor": False,
        "adaptive": False,
        "analysis": "",
        "hash": "0123456789abcdef",
    }
    return SimpleNamespace(**(values | changes))


def values(results: dict | None = None, **changes) -> dict:
    """What the template is given: a plain study of two arms, and what differs from it."""
    questions = {"overall": question()}
    kept = SimpleNamespace(raters=8, answers=240, questions=questions)
    usual = {"kept": kept, "everyone": kept, "flow": flow(0), "evidence": {}}
    page = {
        "spec": study(),
        "results": SimpleNamespace(**(usual | (results or {}))),
        "texts": {"overall": QUESTION.text, "style": "Which has more style?"},
        "picture": lambda name: "",
        "verdicts": {"overall": Verdict("ours is preferred", "It wins.", "sure")},
        "interim": "",
        "withdrawn": [],
        "deviations": [],
        "pooled": (),
        "fragile": {},
        "claims": [],
        "blind": "",
        "registration": {},
        "halo": [],
        "methods": ["How it was done."],
        "times": {"p05": 900.0, "median": 2500.0, "p95": 9000.0},
        "driven": {},
        "pictures": {"clearest": [], "against": [], "divided": []},
        "figures": "",
        "plotly": "",
    }
    return page | changes


CHANGE = {"version": 2, "time": "2026-05-02T09:00:00", "reason": "more raters", "changed": ["seed: 0 to 1"]}
FROZEN = {"time": "2026-05-01T09:00:00", "first_answer": ""}
CLAIM = (QUESTION.text, Verdict("Not decided", "Too few answers.", "undecided"))
SOME = SimpleNamespace(raters=8, answers=240, questions={"overall": question(categories={"animals": ()})})
POOLED = SimpleNamespace(raters=8, answers=240, questions={"overall": question(pooling=pooling())})
ONE = SimpleNamespace(raters=1, answers=3, questions={"overall": question()})
RANKED = question(
    ranking=SimpleNamespace(
        differences=[SimpleNamespace(arm="ours", other="theirs", estimate=estimate(0.4, 0.1, 0.7), p_holm=0.02)]
    )
)
THREE = SimpleNamespace(
    raters=8, answers=240, questions={"overall": RANKED, "style": question(no_ranking="Rank each group alone.")}
)
NO_ANSWERS = SimpleNamespace(raters=8, answers=240, questions={"overall": question(), "style": question()})
EVIDENCE = {"overall": SimpleNamespace(raters=8)}
SHOWN = {"clearest": [PAIR], "against": [PAIR], "divided": [DIVIDED]}
ALL_ARMS = ("ours", "theirs", "third")
PAGES = {
    "two arms, over": values(fragile={"overall": "How fragile it is."}, pictures=SHOWN, halo=["How alike they are."]),
    "categories": values({"kept": SOME}),
    "categories that are pooled": values({"kept": POOLED}, driven={"animals": [PAIR]}),
    "one rater left out, one withdrawn": values({"flow": flow(1), "everyone": NO_ANSWERS}, withdrawn=["asked for it"]),
    "two raters left out, two withdrawn": values({"flow": flow(2)}, withdrawn=["asked for it", "twice here"]),
    "interim": values(interim="Interim: 3 of 12.", verdicts={"overall": Verdict("Not over yet", "So far.", "")}),
    "stops on the evidence": values({"evidence": EVIDENCE}, spec=study(stopping=Stopping("e-value"))),
    "registered, no answer yet": values(registration=FROZEN, claims=[CLAIM], spec=study(analysis="By hand.")),
    "registered, amended, earlier versions counted": values(
        registration=FROZEN | {"first_answer": "2026-05-01T12:00:00"}, deviations=[CHANGE], pooled=(1,)
    ),
    "amended, earlier versions not counted": values(deviations=[CHANGE]),
    "one rater": values({"kept": ONE}),
    "one prompt, chosen by a visitor": values(spec=study(prompts=("",), by_visitor=True)),
    "three arms": values({"kept": THREE}, spec=study(arms=ALL_ARMS), pictures=SHOWN),
    "adaptive": values(spec=study(arms=ALL_ARMS, adaptive=True)),
    "with a certificate": values(blind="What an attacker saw."),
}


def text_of(page: str) -> str:
    """What a page says, a line for each block."""
    inner = page.split("<main>")[1].split("</main>")[0]
    blocks = re.sub(r"</(?:p|h\d|li|tr|td|th|summary|figcaption|div|strong)>|<br>", "\n", inner)
    text = html.unescape(re.sub(r"<[^>]*>", "", blocks))
    return "\n".join(line for line in map(flat, text.splitlines()) if line)


def pages() -> Iterator[str]:
    """The first page whole, of each other one what it says that no page before it did."""
    known: set[str] = set()
    for name, page in PAGES.items():
        text = [line for line in text_of(page_template().render(page)).splitlines() if line not in known]
        known |= set(text)
        yield f"## {name}\n\n" + "\n".join(text) + "\n"


def certificates() -> Iterator[str]:
    for name, certificate in CERTIFICATES.items():
        yield f"## A certificate: {name}\n\n{blindness.blindness_in_words(certificate)}\n"
    assert blindness.blindness_in_words({}) == ""


def test_every_sentence_of_the_page_was_read_and_approved():
    assert_golden("report.md", "\n".join(["# What a report's page can say\n", *pages(), *certificates()]))


def literals(source: str) -> set[str]:
    """All text of a template that readers may see, in parts between its tags."""
    tree = page_template().environment.parse(source.split("<main>")[1].split("</main>")[0])
    texts = [one.data for one in tree.find_all(nodes.TemplateData)]
    texts += [one.value for one in tree.find_all(nodes.Const) if isinstance(one.value, str)]
    parts = (part for text in texts for part in re.split(r"<[^>]*>?|[^<]*>", text))
    return {flat(html.unescape(part)) for part in parts if re.search(r"[A-Za-z]{2,}.* [A-Za-z]{2,}", part, re.DOTALL)}


def test_no_sentence_of_the_template_is_left_unsaid():
    approved = flat((FOLDER / "report.md").read_text("utf-8"))
    source = Path(str(page_template().filename)).read_text("utf-8")
    parts = literals(source)
    assert len(parts) > 60
    assert {part for part in parts if part not in approved and 'aria-label="' not in part} == {"not sure"}  # compared
    added = source.replace("<main>", "<main>{% if interim %}<p>Nobody has read this.</p>{% endif %}")
    assert literals(added) - parts == {"Nobody has read this."}


RATERS = pd.DataFrame(
    {
        "rater": ["a", "b", "c", "d"],
        "channel": ["invite", "open", "prolific", "mturk"],
        "started": ["2026-05-01T09:00:00+00:00"] * 3 + ["2026-05-03T09:00:00+00:00"],
        "status": ["finished", "active", "abandoned", "dropped"],
    }
)


def exported(name: str, raters: pd.DataFrame = RATERS, certificate: dict | None = None, **page) -> SimpleNamespace:
    spec, _ = METHODS[name]
    votes = pd.DataFrame({"rater": ["a"] * 3, "answer_ms": [900.0, 2500.0, 9000.0]})
    asked = SimpleNamespace(**vars(spec) | {"name": "apples", "questions": (QUESTION,), "page": Page(**page)})
    return SimpleNamespace(spec=asked, votes=votes, raters=raters, certificate=certificate or {})


PRACTICE = (SimpleNamespace(),)
SECTIONS = {
    "everything is known": (
        exported("two arms, one screen, no checks, no rules", certificate=CERTIFICATES["passed"]),
        (["1440x900@1 530x530", "390x844@2 217x217", ""], "3 EUR", "board 7"),
    ),
    "hardly anything is known": (
        exported("four arms, pairs that the answers choose", RATERS.head(1), practice=PRACTICE, show_prompts=False),
        ([""], "", ""),
    ),
    "windows without pictures": (exported("one question, randomised, one kind of checks"), (["390x844@2"], "", "")),
}


def sections() -> Iterator[str]:
    _, counts = METHODS["two arms, one screen, no checks, no rules"]
    found = SimpleNamespace(**vars(counts), kept=SimpleNamespace(questions={"overall": question()}))
    for name, (export, (viewports, pay, ethics)) in SECTIONS.items():
        text = methods.paragraphs(export, found, viewports, pay, ethics)
        yield f"## {name}\n\n" + "\n\n".join(text) + "\n"
    yield "## The card\n\n" + methods.card(SECTIONS["everything is known"][0], found)


def test_every_sentence_of_the_methods_section_was_read_and_approved():
    assert_golden("methods.md", "\n".join(["# What the methods section can say\n", *sections()]))


COMMITTED = {"commitment": commitment("secret")}
KEY, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ENTRY = {"number": 1, "hash": "f" * 64, "rater": "r", "entry": "closed", "time": "2026-05-01T09:00:00"}


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key").write_text(KEY)
    return Key(tmp_path / "key")


def tables(spec=None, entries=(), finished="", status="active", position: int | None = None) -> SimpleNamespace:
    raters = pd.DataFrame({"rater": ["r"], "finished": [finished], "status": [status]})
    votes = pd.DataFrame({"rater": ["r"], "mode": ["joint"], "question": ["overall"], "position": [position]})
    votes = votes if position is not None else votes.iloc[:0]
    return SimpleNamespace(spec=spec or make_spec(**COMMITTED), revisions=entries, raters=raters, votes=votes)


def problems(folder: Path, key: Key) -> Iterator[tuple[str, object]]:
    """What each check says of an export that fails it."""
    (folder / "file").write_text("one")
    add_to_manifest(folder, ["file"])
    yield "nobody signed it", closing.signature_problems(folder, key.public)
    add_to_manifest(folder, ["file"], key)
    yield "somebody else signed it", closing.signature_problems(folder, OTHER)
    (folder / "manifest.json").write_text("{}")
    yield "changed after it was signed", closing.signature_problems(folder, "")
    yield "closed, and no head", closing.head_problems(folder, tables(entries=[ENTRY]), "")
    yield "how certain the end is, when open", [closing.head_of(folder, tables())]
    head = {"number": 1, "spec": make_spec(**COMMITTED).hash, "hash": "0" * 64}
    (folder / HEAD).write_text(json.dumps(key.sign(head)))
    yield "how certain the end is, when closed", [closing.head_of(folder, tables(entries=[ENTRY]))]
    yield "a chain that was cut", closing.head_problems(folder, tables(), "")
    yield "another key", closing.head_problems(folder, tables(), OTHER)
    (folder / HEAD).write_text(json.dumps(key.sign(head) | {"signature": ""}))
    yield "no signature", closing.head_problems(folder, tables(), "")
    yield "finished, but not in the chain", closing.state_problems(tables(finished="2026-05-01", status="finished"))
    done = [ENTRY | {"entry": "finished"}]
    yield "finished, but only in the chain", closing.state_problems(tables(entries=done))
    yield "closed, and no plan", closing.plan_problems(folder, tables())
    plan: dict = {"secret": "another", "raters": {}}
    (folder / PLAN).write_text(json.dumps(plan))
    yield "another secret", closing.plan_problems(folder, tables())
    (folder / PLAN).write_text(json.dumps(plan | {"secret": "secret"}))
    yield "a rater without a place", closing.plan_problems(folder, tables(position=0))
    handed = {"number": 0, "seat": 0, "pairs": None, "after": 0}
    (folder / PLAN).write_text(json.dumps({"secret": "secret", "raters": {"r": handed}}))
    yield "another position", closing.plan_problems(folder, tables(position=999))
    adaptive = make_spec(arms=3, design="adaptive", **COMMITTED)
    yield "pairs that no answer chose", closing.plan_problems(folder, tables(adaptive))


def test_every_problem_of_a_closed_study_was_read_and_approved(tmp_path, key):
    folder = tmp_path / "export"
    folder.mkdir()
    texts = [f"## {name}\n\n" + "\n".join(map(str, found)) + "\n" for name, found in problems(folder, key)]
    assert_golden("closing.md", "\n".join(["# What verification can say of a closed study\n", *texts]))


NO_SENTENCES = {"python -m study methods", "\\subsection*{Human evaluation}"}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (blindness, "report.md"),
        (methods, "methods.md"),
        (closing, "closing.md"),
        (words, "words.md"),
        (paragraphs, "words.md"),
    ],
)
def test_no_sentence_of_the_code_is_left_unsaid(module, name):
    approved = flat((FOLDER / name).read_text("utf-8"))
    assert {part for part in phrases(module) if part not in approved} <= NO_SENTENCES
