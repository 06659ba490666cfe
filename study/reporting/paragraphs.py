"""How a study was done, in paragraphs for a paper."""

from collections.abc import Mapping

from study.protocol.adaptive import EXPLORED
from study.protocol.spec import StudySpec
from study.reporting.words import counted, percent
from study.stats.analysis import Results
from study.stats.intervals import RESAMPLES


def methods(spec: StudySpec, results: Results) -> list[str]:
    """Paragraphs for the methods section of a paper."""
    arms, flow = len(spec.arms), results.flow
    mode = {
        "joint": "on one screen",
        "separate": "in a separate pass each",
        "randomised": "on one screen or in separate passes, drawn for each rater",
    }[spec.mode]
    rules = [rule.words for rule in flow.rules]
    design = (
        f"Raters compared images of {arms} arms ({', '.join(spec.arms)}) for {len(spec.prompts)} prompts, two images "
        f"of one prompt at a time, at most {spec.pairs_per_rater} comparisons each, and answered "
        f"{counted(len(spec.questions), 'question')} with left, tie or right, asked {mode}. "
        f"Arms were not named. {_planned(spec)}."
    )
    if checks := _checks_shown(results.shown):
        design += (
            f" In addition to {results.shown['comparison']} comparisons they answered, without knowing which: {checks}."
        )
    exclusions = (
        f"{len(flow.raters)} raters gave {flow.answers} answers. Rules fixed in advance left out raters who "
        f"{' or '.join(rules)}: {counted(len(flow.excluded), 'rater')}; {flow.kept_answers} answers of "
        f"{len(flow.raters) - len(flow.excluded)} raters count."
        if rules
        else f"{len(flow.raters)} raters gave {flow.answers} answers; nobody was left out."
    )
    return [design, exclusions, _inference(spec), _sources()]


def _planned(spec: StudySpec) -> str:
    if spec.design == "adaptive":
        return (
            f"Prompts, sides and order come from a plan fixed in advance ({_source_of_chance(spec)}). Which two arms "
            f"were compared on a prompt was drawn when a rater came, {percent(EXPLORED)} of the chance evenly, the "
            f"rest in favour of pairs whose answer to “{spec.questions[0].key}” was expected to say most about the "
            "order of the arms, given the answers until then; the chance of each pair is in the data"
        )
    return (
        "Sides were balanced within raters and between pairs of raters; pairs, sides and order come from a plan fixed "
        f"in advance ({_source_of_chance(spec)})"
    )


def _source_of_chance(spec: StudySpec) -> str:
    secret = f" and a secret of the hash {spec.commitment[:16]}, published at the end" if spec.commitment else ""
    return f"drawn from seed {spec.seed}{secret}; specification {spec.hash[:16]}"


def _checks_shown(shown: Mapping[str, int]) -> str:
    """How many there were, and how many for each comparison."""
    names = {
        "identical": "identical pair",
        "same_arm": "same-arm pair",
        "repeat": "mirrored repeat",
        "gold": "gold pair",
    }
    counts = {kind: shown.get(kind, 0) for kind in names}
    plural = {kind: counted(count, names[kind]) for kind, count in counts.items() if count}
    return ", ".join(f"{words} ({percent(counts[kind] / shown['comparison'])})" for kind, words in plural.items())


def _inference(spec: StudySpec) -> str:
    text = (
        "Answers of one rater, and answers on one prompt, are not independent. Standard errors are therefore clustered "
        "by rater and by prompt (two-way sandwich; Cameron, Gelbach & Miller 2011) with Satterthwaite's degrees of "
        "freedom; 95% intervals of rates are Wilson intervals with the effective sample size that follows from these "
        "errors (Dean & Pagano 2015). They speak about new raters and new prompts like those of the study, and none is "
        "surer than if each rater, or prompt, were one vote and all agreed (Clopper & Pearson 1934). As a check, "
        f"results.json also has percentile intervals of the crossed (pigeonhole) bootstrap (Owen 2007; {RESAMPLES} "
        "resamples), which are wider than they need to be. "
    )
    if len(spec.arms) > 2:
        text += (
            "Arms were ranked by Davidson's (1970) extension of the Bradley-Terry model to ties, with a term for the "
            "left side, by maximum likelihood; differences of log strengths were tested two-sided with Holm's "
            "correction over questions and pairs of arms. "
        )
    else:
        text += (
            "Evidence that may be looked at after each rater is an e-value, the mean over bets on a rater's mean "
            "answer (Waudby-Smith & Ramdas 2024); it speaks of the prompts of the study only. Intervals for new "
            "prompts that hold at any look add to its confidence sequence how far these prompts may be from all, by "
            "Student's t. "
        )
    if spec.design == "adaptive":
        return text + (
            "A pair that looks clear early on is asked about less, so each answer has the weight of 1 over the fourth "
            "root of the chance of its pair (compare Hadad et al. 2021); rates of single pairs are biased, and were "
            "not tested."
        )
    return text + (
        "Net preference, (wins - losses) / answers, was tested against 0, two-sided, with Holm's correction over "
        "questions and pairs of arms."
    )


def _sources() -> str:
    return (
        "Agreement between raters is Krippendorff's alpha for nominal labels. Cameron, Gelbach, Miller: Robust "
        "inference with multiway clustering, JBES 29 (2011). Davidson: On extending the Bradley-Terry model to "
        "accommodate ties, JASA 65 (1970). Dean, Pagano: Evaluating confidence interval methods for binomial "
        "proportions in clustered surveys, JSSAM 3 (2015). Hadad, Hirshberg, Zhan, Wager, Athey: Confidence intervals "
        "for policy evaluation in adaptive experiments, PNAS 118 (2021). Holm: A simple sequentially rejective "
        "multiple test procedure, SJS 6 (1979). Krippendorff: Computing Krippendorff's alpha-reliability (2011). "
        "Owen: The pigeonhole bootstrap, AOAS 1 (2007). Waudby-Smith, Ramdas: Estimating means of bounded random "
        "variables by betting, JRSS-B 86 (2024)."
    )
