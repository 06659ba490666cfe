"""`python -m study methods NAME --out FOLDER`: the section of a paper that says how people were asked.

It answers what Otani et al. (CVPR 2023) want to be told: who the raters were and how they came, what they saw and were
asked, how many answered how often, how far they agreed, whom the rules left out; each number from the export.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro

from study.reporting import paragraphs as section
from study.reporting import words
from study.reporting.blindness import blindness_in_words
from study.reporting.export import pooled_folders
from study.reporting.report import Export, read
from study.stats import Results, results
from study.stats.answers import own_ms

PHONE = 700  # CSS pixels; narrower windows are counted as phones
CHANNELS = {
    "invite": "by personal links",
    "open": "by an open link",
    "prolific": "on Prolific",
    "mturk": "on Mechanical Turk",
}
BIBLIOGRAPHY = Path(__file__).parent / "templates" / "methods.bib"
CITED = {  # key in the bibliography: the first mention in the text
    "cameron2011": "Cameron, Gelbach & Miller 2011",
    "clopper1934": "Clopper & Pearson 1934",
    "davidson1970": "Davidson's (1970)",
    "dean2015": "Dean & Pagano 2015",
    "hadad2021": "Hadad et al. 2021",
    "holm1979": "Holm's correction",
    "krippendorff2011": "Krippendorff's alpha",
    "otani2023": "Otani et al. (2023)",
    "owen2007": "Owen 2007",
    "waudbysmith2024": "Waudby-Smith & Ramdas 2024",
}
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u00a0": "~",
    "≥": r"$\ge$",
}


@dataclass(frozen=True)
class Methods:
    """Write methods.md, methods.tex, methods.bib, and README.md, a card for the export as a data set."""

    name: Annotated[str, tyro.conf.Positional]
    """A study's name, or the folder of an export or report."""
    out: Path
    version: int | None = None
    """The newest by default."""
    pay: str = ""
    """What raters were paid, such as "2.50 GBP for about 12 minutes"; nothing here knows it."""
    ethics: str = ""
    """Who approved the study, such as "the board of ..., number ..."."""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Methods, prog="python -m study methods", args=arguments)
    for file in write(options, _folder(options)):
        print(file)


def _folder(options: Methods) -> Path:
    if (Path(options.name) / "spec.json").is_file():
        return Path(options.name)
    from study.reporting.export import export_pooled
    from study.store.store import Store
    from study.store.studies import find_study

    store, folder = Store.open(), options.out / "export"
    export_pooled(store, find_study(store.database, options.name, options.version), folder)
    return folder


def write(options: Methods, folder: Path) -> list[Path]:
    """From an export alone. Raises StudyError where it is none, or nobody has answered."""
    export = read(folder)
    recomputed = results(export.votes, export.raters, export.spec, closed=export.closed)
    text = paragraphs(export, recomputed, _viewports(export, folder), options.pay, options.ethics)
    options.out.mkdir(parents=True, exist_ok=True)
    written = {
        "methods.md": "# Human evaluation\n\n" + "\n\n".join(text) + "\n",
        "methods.tex": "\\subsection*{Human evaluation}\n" + "\n\n".join(map(latex, text)) + "\n",
        "methods.bib": BIBLIOGRAPHY.read_text("utf-8"),
        "README.md": card(export, recomputed),
    }
    for name, content in written.items():
        (options.out / name).write_text(content, "utf-8")
    return [options.out / name for name in written]


def paragraphs(export: Export, results: Results, viewports: Sequence[str], pay: str, ethics: str) -> list[str]:
    """The section, a paragraph each."""
    design, exclusions, inference, *_ = section.methods(export.spec, results)
    recruitment, times = _recruitment(export, pay, ethics), _times_and_windows(export, viewports)
    blind = [sentences] if (sentences := blindness_in_words(export.certificate)) else []
    return [
        design,
        _questions_and_pages(export),
        *blind,
        recruitment,
        exclusions,
        times,
        _agreement(results),
        inference,
        _what_is_published(),
    ]


def _questions_and_pages(export: Export) -> str:
    questions = "; ".join(f"“{question.text}”" for question in export.spec.questions)
    page = export.spec.page
    practice = "three drawn pairs" if page.practice is None else words.counted(len(page.practice), "pair")
    shown = "the prompt above both images" if page.show_prompts else "no prompt"
    return (
        f"They were asked, in this order: {questions} The page showed {shown}, image A on the left and B on the right, "
        "and opened voting when both had loaded; both could be seen in full size. Before that, raters gave consent, "
        f"read instructions and practised on {practice} (language of the pages: {page.language})."
    )


def _recruitment(export: Export, pay: str, ethics: str) -> str:
    raters = export.raters
    came = [
        f"{words.counted(count, 'rater')} {CHANNELS.get(str(channel), str(channel))}"
        for channel, count in raters["channel"].value_counts().items()
    ]
    started = pd.to_datetime(raters["started"], utc=True, format="ISO8601")
    states = raters["status"].value_counts()
    left = [f"{states[name]} {verb}" for name, verb in LEFT.items() if states.get(name)]
    text = (
        f"{words.counted(len(raters), 'rater')} gave consent from {started.min():%Y-%m-%d} to "
        f"{started.max():%Y-%m-%d}: {', '.join(came)}. "
        f"{int(states.get('finished', 0))} finished{''.join(', ' + one for one in left)}."
    )
    text += f" They were paid {pay}." if pay else " What they were paid is not recorded [fill in]."
    return text + (f" The study was approved by {ethics}." if ethics else "")


LEFT = {"active": "had not finished when this was written", "abandoned": "left before the end", "dropped": "withdrew"}


def _times_and_windows(export: Export, viewports: Sequence[str]) -> str:
    votes = export.votes
    seconds = own_ms(votes) / 1000
    half, low, high = (seconds.quantile(q) for q in (0.5, 0.05, 0.95))
    text = f"Half of the answers took less than {half:.1f} s, 90% between {low:.1f} and {high:.1f} s."
    windows = [tuple(map(int, one.split("@")[0].split("x"))) for one in viewports if one]
    if not windows:
        return text
    across, down = (sorted(side)[len(windows) // 2] for side in zip(*windows, strict=True))
    phones = words.percent(sum(width < PHONE for width, _ in windows) / len(windows))
    text += f" The median window had {across} by {down} CSS pixels; {phones} of the answers came from windows "
    text += f"narrower than {PHONE}."
    shown = [tuple(map(int, one.split(" ")[1].split("x"))) for one in viewports if " " in one]
    if shown:
        middle = sorted(min(size) for size in shown)[len(shown) // 2]
        text += f" The shorter side of the images measured {middle} CSS pixels in the median."
    return text


def _agreement(results: Results) -> str:
    questions = results.kept.questions.items()
    parts = [f"{key} {words.with_interval(question.agreement.alpha, False)}" for key, question in questions]
    return f"Agreement between raters (Krippendorff's alpha, 95% interval): {'; '.join(parts)}."


def _what_is_published() -> str:
    return (
        "This section gives what Otani et al. (2023) ask to be reported. Answers, specification and images are "
        "published; `python -m study verify` computes every figure from them."
    )


def _viewports(export: Export, folder: Path) -> list[str]:
    """The viewport of each current answer that a script measured; withdrawn and revised answers are left out."""
    given: dict[tuple[str, str], str] = {}
    for version in (*pooled_folders(folder), folder):
        file = version / "revisions.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        answers = (entry for entry in map(json.loads, lines) if "answer" in entry)
        given |= {(entry["assignment"], entry["question"]): entry.get("viewport", "") for entry in answers}
    return [given.get(key, "") for key in zip(export.votes["assignment"], export.votes["question"], strict=True)]


def latex(text: str) -> str:
    """The text with its citations, whatever the organiser's words hold."""
    escaped = "".join(SPECIAL.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)
    for key, mention in CITED.items():
        as_escaped = mention.replace("&", "\\&")
        escaped = escaped.replace(as_escaped, f"{as_escaped}~\\cite{{{key}}}", 1)
    return escaped.replace("“", "``").replace("”", "''")


def card(export: Export, results: Results) -> str:
    """For a hub of data sets: its tables, what they hold, and what must be known before they are used."""
    spec, flow = export.spec, results.flow
    head: Mapping[str, Any] = {
        "pretty_name": f"{spec.name}: pairwise preferences",
        "language": [spec.page.language],
        "tags": ["human-feedback", "preference", "text-to-image"],
        "configs": [{"config_name": name, "data_files": f"{name}.parquet"} for name in ("votes", "raters")],
    }
    columns = "\n".join(f"- `{name}`" for name in export.votes.columns)
    return (
        f"---\n{json.dumps(head, indent=1, ensure_ascii=False)}\n---\n\n# {spec.name}\n\n"
        f"{len(flow.raters)} raters gave {flow.answers} answers on {', '.join(spec.arms)} for "
        f"{words.counted(len(spec.prompts), 'prompt')}. "
        f"The rules leave out {words.counted(len(flow.excluded), 'rater')}; the tables hold them all.\n\n"
        "No licence is stated here: choose one, for the images too.\n\n"
        f"`votes.parquet` has one row for each current answer ({RATER_NOTE}):\n\n{columns}\n\n"
        f"`revisions.jsonl` is the chain of all answers, `spec.json` what was frozen ({spec.hash}). "
        "`python -m study verify FOLDER` checks all of it, `python -m study report FOLDER --out OUT` computes the "
        "results.\n"
    )


RATER_NOTE = "raters are random numbers; no name, address or platform's ID is in any file"
