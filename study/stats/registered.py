"""What was claimed before the first vote, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from study.protocol.parts import Hypothesis
from study.stats.evalues import Evidence
from study.stats.intervals import ALPHA, Estimate, holm
from study.stats.preference import Preference


@dataclass(frozen=True)
class Registered:
    hypothesis: Hypothesis
    net: Estimate
    """Net preference for the arm that was claimed to be better, in [-1, 1]."""
    p: float
    """Two-sided, corrected by Holm's method over the registered hypotheses alone."""
    answer: Literal["supported", "contradicted", "undecided"]


def registered(
    hypotheses: Sequence[Hypothesis],
    preferences: Mapping[str, Sequence[Preference]],
    live: Mapping[str, Evidence] | None,
) -> tuple[Registered, ...]:
    """The hypotheses that somebody has answered the question of.

    Args:
        preferences: by question, of every pair of arms.
        live: where the answers were looked at again and again: then what holds at any look decides, on new prompts.
    """
    answered = [h for h in hypotheses if h.question in preferences]
    nets = [_net(h, preferences[h.question]) for h in answered]
    ps = holm([net.p for net in nets])
    outcomes = []
    for h, net, p in zip(answered, nets, ps, strict=True):
        sure = p < ALPHA if live is None else h.question in live and 0 not in live[h.question].new_prompts
        answer = "undecided" if not sure else "supported" if net.value > 0 else "contradicted"
        outcomes.append(Registered(h, net, p, answer))
    return tuple(outcomes)


def _net(h: Hypothesis, preferences: Sequence[Preference]) -> Estimate:
    (pair,) = [p for p in preferences if {p.arm, p.other} == {h.better, h.worse}]
    net = pair.net
    return net if pair.arm == h.better else net.mirrored()
