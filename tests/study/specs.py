"""Small specs without images."""

from study.protocol.parts import DEGRADED, CheckShares, Prompt, Stimulus
from study.protocol.spec import StudySpec


def digest(*parts: object) -> str:
    return "".join(map(str, parts)).encode().hex()[-64:].rjust(64, "0")


def make_spec(arms: int = 2, prompts: int = 10, copies: int = 1, **changes) -> StudySpec:
    names = tuple(f"arm{a}" for a in range(arms))
    texts = [f"prompt {p}" for p in range(prompts)]
    stimuli = tuple(
        Stimulus(text, arm, f"{arm}-{text}-{c}.png", digest(text, arm, c))
        for text in texts
        for arm in names
        for c in range(copies)
    )
    degraded = tuple(Stimulus(text, DEGRADED, "", digest(text, DEGRADED)) for text in texts)
    values = {
        "name": "toy",
        "arms": names,
        "prompts": tuple(Prompt(text) for text in texts),
        "stimuli": stimuli,
        "degraded": degraded,
        "gold_of": tuple(digest(text, names[0], 0) for text in texts),
        "checks": CheckShares(0.1, 0.1 if copies > 1 else 0, 0.1, 0.1),
    }
    return StudySpec(**(values | changes))
