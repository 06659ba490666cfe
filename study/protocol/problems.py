"""What is wrong with a study's spec, all of it at once."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from study.protocol.parts import DEGRADED, GOLDS, REFERENCE, is_name

if TYPE_CHECKING:
    from study.protocol.spec import StudySpec


def bad_name(name: str) -> str:
    """What is said of a study's name that is none."""
    return f"The study's name is {name!r}: use letters, digits, _ and -."


def problems_of(spec: "StudySpec") -> Iterable[str]:
    """Everything for which the spec is refused, a sentence each."""
    yield from _naming_problems(spec)
    yield from _design_problems(spec)
    yield from _number_problems(spec)
    yield from _image_problems(spec)


def _naming_problems(spec: "StudySpec") -> Iterable[str]:
    if not is_name(spec.name):
        yield bad_name(spec.name)
    if spec.kind not in ("designed", "visitor") or (spec.by_visitor and len(spec.stimuli) != 2):
        yield f"The kind is {spec.kind!r}: a study is designed, or it is the one pair that a visitor chose."
    if len(spec.arms) < 2:
        yield "A study compares at least two arms."
    reserved = {DEGRADED, *(s.arm for s in (*spec.golden, *spec.references))}
    if reserved & set(spec.arms) or not all(arm.strip() for arm in spec.arms):
        yield f"An arm has no name, or a reserved one ({', '.join(sorted(reserved))}): choose another."
    for what, names in (
        ("arm", spec.arms),
        ("prompt", [prompt.text for prompt in spec.prompts]),
        ("question", [question.key for question in spec.questions]),
    ):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"The {what} {name!r} is named {count} times: name it once."
    if not spec.questions:
        yield "A study asks at least one question."
    for question in spec.questions:
        if not is_name(question.key) or not question.text.strip():
            yield f"The question {question.key!r} needs a key of letters, digits, _ and -, and a text."
        if question.gold not in GOLDS:
            yield f"The gold of question {question.key!r} is {question.gold!r}: choose intact, spoilt or none."
    for h in spec.hypotheses:
        if not {h.better, h.worse} <= set(spec.arms) or h.better == h.worse:
            yield f"The hypothesis {str(h)!r} needs two of the arms {', '.join(spec.arms)}."
        if h.question not in {question.key for question in spec.questions}:
            yield f"The hypothesis {str(h)!r} asks {h.question!r}, which is not one of the questions."
    if spec.stopping.rule == "e-value" and len(spec.arms) > 2:
        yield "Stopping on an e-value is for two arms: compare two, or let the quota stop the study."
    if spec.stopping.question and spec.stopping.question not in {question.key for question in spec.questions}:
        yield f"The stopping rule's question {spec.stopping.question!r} is not one of the questions."
    if spec.mode not in ("joint", "separate", "randomised"):
        yield f"The mode is {spec.mode!r}: choose joint, separate or randomised."
    for what, url in (("completion", spec.completion_url), ("full", spec.full_url)):
        if url and not url.startswith(("https://", "../")):
            yield f"The {what} URL is {url!r}: it must start with https://."


def _design_problems(spec: "StudySpec") -> Iterable[str]:
    if spec.design not in ("balanced", "adaptive"):
        yield f"The design is {spec.design!r}: choose balanced or adaptive."
    if not spec.adaptive:
        return
    if len(spec.arms) < 3:
        yield "An adaptive design chooses among pairs of arms, but two arms make only one pair: leave out --design."
    if spec.stopping.rule == "e-value":
        yield "An adaptive design cannot stop on an e-value, whose bets need pairs that no answer chose: use quota."
    if spec.hypotheses:
        yield (
            "An adaptive design cannot answer registered hypotheses, since their test needs pairs that no answer "
            "chose: leave out the hypotheses or --design."
        )


def _number_problems(spec: "StudySpec") -> Iterable[str]:
    for name in ("raters_per_pair", "pairs_per_rater", "abandoned_after_minutes"):
        if getattr(spec, name) < 1:
            yield f"{name} is {getattr(spec, name)}: choose a whole number from 1."
    if spec.pairs_per_prompt is not None:
        units = sum(len(spec.copies.get((prompt.text, spec.arms[0]), ())) for prompt in spec.prompts)
        if not 1 <= spec.pairs_per_prompt <= len(spec.arm_pairs):
            yield f"pairs_per_prompt is {spec.pairs_per_prompt}: choose 1 to {len(spec.arm_pairs)}, or none."
        elif units * spec.pairs_per_prompt < len(spec.arm_pairs):
            yield (
                f"pairs_per_prompt is {spec.pairs_per_prompt}: over {units} prompts that leaves pairs of arms out; "
                f"choose {-(-len(spec.arm_pairs) // units)} or more."
            )
    if spec.open_cap is not None and spec.open_cap < 0:
        yield f"open_cap is {spec.open_cap}: choose a whole number from 0, or none."
    if spec.seed < 0:
        yield f"The seed is {spec.seed}: choose a whole number from 0."


def _image_problems(spec: "StudySpec") -> Iterable[str]:
    if not spec.prompts or not all(prompt.text.strip() for prompt in spec.prompts):
        yield "A study needs prompts, and none may be empty."
    copies = spec.copies
    known = {(prompt.text, arm) for prompt in spec.prompts for arm in spec.arms}
    for prompt, arm in copies.keys() - known:
        yield f"An image belongs to prompt {prompt!r} and arm {arm!r}, which the study does not have."
    for prompt in spec.prompts:
        counts = {arm: len(copies.get((prompt.text, arm), ())) for arm in spec.arms}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            listed = ", ".join(f"{arm} {count}" for arm, count in counts.items())
            yield f"Prompt {prompt.text!r} needs the same number of images for each arm; it has: {listed}."
    if spec.checks.same_arm and copies and max(map(len, copies.values())) < 2:
        yield "Same-arm pairs need two images of one prompt and arm: add seeds, or set their share to 0."
    if spec.checks.gold and not spec.degraded:
        yield "Gold pairs need degraded copies: make the study with `study create`, or set their share to 0."
    if {s.prompt for s in spec.references} - {prompt.text for prompt in spec.prompts}:
        yield "A reference image belongs to a prompt that the study does not have."
    if any(s.arm != REFERENCE for s in spec.references):
        yield f"The arm of reference images is {REFERENCE}."
    if len(spec.gold_of) != len(spec.degraded) or set(spec.gold_of) - {s.sha256 for s in spec.intact}:
        yield "Each degraded copy needs the hash of its intact image."
