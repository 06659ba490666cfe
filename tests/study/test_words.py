"""Every sentence that results can be put into, as it stands in tests/golden/words.md (see `tests.study.golden`)."""

import sys
from collections.abc import Iterator
from types import CodeType, SimpleNamespace

import numpy as np
import pytest

from study.protocol.parts import Hypothesis, Question, Stopping
from study.protocol.spec import StudySpec
from study.reporting import paragraphs, words
from study.stats.analysis import Reached
from study.stats.answers import Clusters
from study.stats.fragility import Fragility
from study.stats.intervals import Estimate, Interval, covariance
from study.stats.preference import Preference
from study.stats.registered import Registered
from tests.study.golden import assert_golden

NAN = float("nan")
NOTHING = Estimate(NAN, Interval(0.0, 1.0), NAN, NAN, NAN, 0)


def estimate(value: float, low: float, high: float, n: int = 100) -> Estimate:
    return Estimate(value, Interval(low, high), 0.05, 20.0, 0.01, n)


def two(value: float, low: float, high: float, wins: int, losses: int, ties: int) -> Preference:
    """`ours` against `theirs`; the rate is that of `ours`, ties counting half."""
    net = estimate(2 * value - 1, 2 * low - 1, 2 * high - 1, wins + losses + ties)
    return Preference("ours", "theirs", wins, ties, losses, NOTHING, estimate(value, low, high), NOTHING, net)


def one_question(preference: Preference, p: float) -> SimpleNamespace:
    return SimpleNamespace(preferences=(preference,), p_holm=(p,), ranking=None, no_ranking="")


def ranking(p_values: list[float], separated: bool = False) -> SimpleNamespace:
    pairs = [("first", "second"), ("first", "third"), ("second", "third")]
    differences = tuple(SimpleNamespace(arm=a, other=b, p_holm=p) for (a, b), p in zip(pairs, p_values, strict=True))
    found = SimpleNamespace(
        strengths=dict.fromkeys(("first", "second", "third")),
        differences=differences,
        fit=SimpleNamespace(separated=separated),
    )
    return SimpleNamespace(ranking=found)


WON, LOST = two(0.62, 0.55, 0.69, 60, 35, 5), two(0.38, 0.31, 0.45, 35, 60, 1)
VERDICTS = {
    "nobody has answered": one_question(Preference("ours", "theirs", 0, 0, 0, *[NOTHING] * 4), NAN),
    "the first arm wins, very sure": one_question(WON, 0.0005),
    "the first arm wins, sure": one_question(WON, 0.005),
    "the first arm wins, fairly sure": one_question(WON, 0.03),
    "the first arm loses, sure": one_question(LOST, 0.005),
    "no clear winner, the first arm ahead": one_question(WON, 0.05),
    "no clear winner, the first arm behind": one_question(LOST, 0.4),
    "unanimous": one_question(two(1.0, 0.9, 1.0, 40, 0, 0), 0.0001),
    "no p-value": one_question(WON, NAN),
    "no ranking": SimpleNamespace(preferences=(WON, LOST), ranking=None, no_ranking="Arms are not connected."),
    "a clear ranking": ranking([0.0001, 0.0001, 0.02]),
    "a ranking with a clear first": ranking([0.02, 0.001, 0.3]),
    "a ranking with no clear first": ranking([0.3, 0.001, 0.05]),
    "a ranking whose best won everything": ranking([0.001, 0.001, 0.001], separated=True),
}


def evidence(here: tuple[float, float], wider: tuple[float, float], highest: float = 3.0) -> SimpleNamespace:
    return SimpleNamespace(raters=12, highest=highest, interval=Interval(*here), new_prompts=Interval(*wider))


EVIDENCE = {
    "nothing yet": evidence((-0.2, 0.3), (-0.4, 0.5)),
    "on these prompts": evidence((-0.4, -0.1), (-0.6, 0.1), 25.0),
    "on new prompts": evidence((0.2, 0.5), (0.1, 0.6), 900.0),
    "no rater": SimpleNamespace(raters=0),
}


ENDS = {
    "Over": ("quota", ("ours", "theirs"), Reached(12, 12, False, False)),
    "Interim": ("quota", ("ours", "theirs"), Reached(12, 3, False, False)),
    "Interim, three arms": ("quota", ("ours", "theirs", "third"), Reached(36, 3, False, False)),
    "Stopped on the evidence": ("e-value", ("ours", "theirs"), Reached(12, 3, True, True)),
    "Closed by hand": ("quota", ("ours", "theirs"), Reached(12, 3, False, True)),
    "Closed by hand, three arms": ("quota", ("ours", "theirs", "third"), Reached(36, 3, False, True)),
}


def halo(of_one_screen: Estimate | None, *modes: str) -> SimpleNamespace:
    part = SimpleNamespace(all_same=estimate(0.61, 0.55, 0.67), alpha=estimate(0.4, 0.31, 0.49))
    return SimpleNamespace(halo=dict.fromkeys(modes, part), halo_of_one_screen=of_one_screen)


HALOS = {
    "one screen": halo(None, "joint"),
    "separate passes": halo(None, "separate"),
    "one screen raises it": halo(estimate(0.2, 0.1, 0.3), "joint", "separate"),
    "one screen raises it, perhaps": halo(estimate(0.2, -0.1, 0.5), "joint", "separate"),
    "one screen lowers it": halo(estimate(-0.2, -0.3, -0.1), "joint", "separate"),
    "one screen lowers it, perhaps": halo(estimate(-0.2, -0.5, 0.1), "joint", "separate"),
    "one question only": halo(None),
    "too few answers": SimpleNamespace(
        halo={"joint": SimpleNamespace(all_same=NOTHING, alpha=NOTHING)}, halo_of_one_screen=None
    ),
}


def spec(arms: int, mode: str, questions: int = 3, design: str = "balanced") -> SimpleNamespace:
    return SimpleNamespace(
        arms=tuple(f"arm{i}" for i in range(arms)),
        prompts=("",) * 12,
        pairs_per_rater=30,
        questions=(Question("overall", "Which?"),) * questions,
        mode=mode,
        design=design,
        seed=7,
        commitment="fedcba9876543210fedc" if mode == "joint" else "",
        hash="0123456789abcdef0123",
    )


def flow(rules: tuple[str, ...], excluded: int = 0, **checks: int) -> SimpleNamespace:
    made = [SimpleNamespace(words=rule) for rule in rules]
    left = dict.fromkeys(range(excluded))
    return SimpleNamespace(
        shown={"comparison": 600} | checks,
        flow=SimpleNamespace(
            raters=range(20), answers=1800, rules=made, excluded=left, kept_answers=1800 - 90 * excluded
        ),
    )


CLAIM = Hypothesis("ours", "theirs", "overall")
CLAIMS = {
    answer: (Registered(CLAIM, estimate(0.2, 0.1, 0.3), 0.01, answer), Reached(12, 12, False, False))
    for answer in ("supported", "contradicted", "undecided")
} | {"not over": (Registered(CLAIM, NOTHING, NAN, "undecided"), Reached(12, 3, False, False))}


FRAGILE = {
    "preferred": Fragility(True, 7, 2, 3),
    "no clear winner": Fragility(False, 1, None, None),
    "nothing changes it": Fragility(False, None, None, None),
}


METHODS = {
    "two arms, one screen, no checks, no rules": (spec(2, "joint"), flow(())),
    "three arms, separate, all checks, two rules": (
        spec(3, "separate"),
        flow(
            ("passed fewer than 50% of the gold pairs", "answered in less than 700 ms"),
            2,
            identical=41,
            same_arm=60,
            repeat=1,
            gold=100,
        ),
    ),
    "four arms, pairs that the answers choose": (spec(4, "joint", design="adaptive"), flow(())),
    "one question, randomised, one kind of checks": (
        spec(2, "randomised", 1),
        flow(("were quick",), 1, repeat=60),
    ),
}


def said() -> Iterator[str]:
    yield "# What a report can say\n"
    for name, question in VERDICTS.items():
        found = words.verdict(question)
        yield f"## Verdict: {name}\n\n**{found.headline}** ({found.sure})\n\n{found.detail}\n"
    for name, found in EVIDENCE.items():
        verdict = words.at_any_time(found, ("ours", "theirs"), 0.05)
        yield f"## At any look: {name}\n\n**{verdict.headline}**\n\n{verdict.detail}\n"
    for name, (rule, arms, reached) in ENDS.items():
        study = SimpleNamespace(arms=arms, stopping=Stopping(rule))
        kept = SimpleNamespace(questions={"overall": VERDICTS["the first arm wins, sure"]})
        one = SimpleNamespace(reached=reached, kept=kept, evidence={"overall": EVIDENCE["on new prompts"]})
        verdict = words.verdicts(study, one)["overall"]
        yield f"## {name}\n\n{words.interim(reached)}\n\n**{verdict.headline}** ({verdict.sure})\n\n{verdict.detail}\n"
    known, unknown = (words.with_interval(one) for one in (estimate(0.612, 0.55, 0.669), NOTHING))
    yield f"## A figure: {known}; without answers: {unknown}\n"
    for name, analysis in HALOS.items():
        yield f"## Halo: {name}\n\n" + "\n".join(words.halo(analysis)) + "\n"
    for name, (one, reached) in CLAIMS.items():
        verdict = words.claimed(one, reached)
        yield f"## Claim: {name}\n\n{verdict.headline} [{verdict.sure}]\n\n{verdict.detail}\n"
    for name, fragility in FRAGILE.items():
        yield f"## Fragile: {name}\n\n{words.fragile(fragility)}\n"
    for name, (study, found) in METHODS.items():
        yield f"## Methods: {name}\n\n" + "\n\n".join(paragraphs.methods(study, found)) + "\n"


def test_every_sentence_is_the_one_that_was_read_and_approved():
    assert_golden("words.md", "\n".join(said()))


def lines_of(code: CodeType) -> set[int]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return {line for *_, line in code.co_lines() if line}.union(*map(lines_of, inner))


@pytest.mark.parametrize("module", [words, paragraphs])
def test_no_line_of_words_is_left_unsaid(module):
    """Else a new sentence would be in no golden case."""
    file, ran = module.__file__, set()

    def trace(frame, event, argument):
        if frame.f_code.co_filename != file:
            return None
        ran.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        list(said())
    finally:
        sys.settrace(before)
    functions = [
        one.__code__
        for one in vars(module).values()
        if getattr(one, "__module__", "") == module.__name__ and hasattr(one, "__code__")
    ]
    possible = set().union(*(lines_of(code) - {code.co_firstlineno} for code in functions))
    assert possible - ran == set()


@pytest.mark.parametrize(
    ("p", "sure"),
    [
        (0.0, "very sure"),
        (0.00099, "very sure"),
        (0.001, "sure"),
        (0.0099, "sure"),
        (0.01, "fairly sure"),
        (0.0499, "fairly sure"),
        (0.05, "not sure"),
        (1.0, "not sure"),
        (NAN, "not sure"),
    ],
)
def test_how_sure_follows_from_p(p, sure):
    assert words.certainty(p) == sure


def test_the_interval_of_a_losing_first_arm_is_the_winners():
    """The headline names the winner, so its interval is mirrored with its rate."""
    text = words.verdict(one_question(LOST, 0.005)).detail
    assert "theirs wins 62.0% of the comparisons with ours (95% interval 55.0% to 69.0%" in text
    unclear = words.verdict(one_question(LOST, 0.4)).detail
    assert "theirs wins 62.0% of the comparisons, and anything from 55.0% to 69.0% fits" in unclear


@pytest.mark.parametrize(
    ("value", "said"), [(0.2, "One screen raises that alpha"), (-0.2, "One screen lowers that alpha")]
)
def test_the_sentence_on_one_screen_has_the_sign_of_the_figure(value, said):
    assert words.halo(halo(estimate(value, value - 0.1, value + 0.1), "joint"))[-1].startswith(said)


def test_the_variance_of_two_ways_is_never_below_that_of_one():
    """Raters and prompts that lean against each other: their sum less the cells would be far too small."""
    rater, prompt = np.repeat([0, 1], 2), np.tile([0, 1], 2)
    influence = np.array([1.0, -1.0, -1.0, 1.0])[:, None] + np.array([0.5, 0.5, -0.5, -0.5])[:, None]
    total, _ = covariance(influence, Clusters(rater, prompt, 2 * rater + prompt))
    by_rater = 2 * sum(influence[rater == r].sum() ** 2 for r in (0, 1))
    by_prompt = 2 * sum(influence[prompt == p].sum() ** 2 for p in (0, 1))
    cells = 4 / 3 * (influence**2).sum()
    assert by_rater + by_prompt - cells < max(by_rater, by_prompt)
    assert total[0, 0] == pytest.approx(max(by_rater, by_prompt))


def test_the_spec_that_stands_in_has_the_fields_of_the_real_one():
    stands = spec(2, "joint")
    assert {name for name in vars(stands) if name != "hash"} <= set(StudySpec.__dataclass_fields__)
