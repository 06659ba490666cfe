"""`python -m study metrics NAME --scores table.csv`: how well metrics predict the votes of a study."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro
from rich.console import Console
from rich.table import Table

from study.errors import StudyError
from study.protocol.spec import StudySpec
from study.reporting import words
from study.reporting.report import read
from study.stats import exclude, plain
from study.stats.answers import comparisons
from study.stats.metrics import Ceiling, Predicted, ceiling, predicted

KEYS = ("image", "prompt", "arm", "file")


@dataclass(frozen=True)
class Metrics:
    """Accuracy of each column of a table of scores, with what people themselves reach as the ceiling."""

    name: Annotated[str, tyro.conf.Positional]
    """A study's name, or the folder of an export or report."""
    scores: Path
    """CSV: `image` (hash or file in the export), or `arm` with `file` or `prompt`; every other column is a metric."""
    lower: tuple[str, ...] = ()
    """Metrics of which less is better, such as a distance."""
    version: int | None = None
    """The newest by default."""
    json: Path | None = None
    """Write the figures here, too."""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Metrics, prog="python -m study metrics", args=arguments)
    with tempfile.TemporaryDirectory() as temporary:
        predictions, ceilings = compare(_folder(options, Path(temporary)), options.scores, options.lower)
    Console().print(_table(predictions, ceilings))
    if options.json:
        record = {"metrics": plain(predictions), "ceiling": plain(ceilings)}
        options.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _folder(options: Metrics, temporary: Path) -> Path:
    if (Path(options.name) / "spec.json").is_file():
        return Path(options.name)
    from study.reporting.export import export_pooled
    from study.store.store import Store
    from study.store.studies import find_study

    store = Store.open()
    export_pooled(store, find_study(store.database, options.name, options.version), temporary)
    return temporary


def compare(folder: Path, scores: Path, lower: tuple[str, ...] = ()) -> tuple[list[Predicted], list[Ceiling]]:
    """Every metric on every question, from the answers that the rules keep.

    Raises:
        StudyError: no export, no answers that count, or a table that does not fit the study's pictures.
    """
    export = read(folder)
    kept, _ = exclude(export.votes, export.spec.exclusions)
    table = read_scores(scores, export.spec)
    if strange := set(lower) - set(table.columns):
        raise StudyError(f"--lower names {', '.join(sorted(strange))}, which {scores} does not have.")
    answered = [answers for q in export.spec.questions if not (answers := comparisons(kept, q.key)).empty]
    if not answered:
        raise StudyError("There are no comparisons to predict yet: wait for the first answers.")
    predictions = []
    for name in table.columns:
        by_image = (table[name] * (-1 if name in lower else 1)).to_dict()
        predictions += [predicted(answers, name, by_image) for answers in answered]
    return predictions, [ceiling(answers) for answers in answered]


def read_scores(file: Path, spec: StudySpec) -> pd.DataFrame:
    """Metrics as columns, every compared picture of the study as a row, named as in the votes. Raises StudyError."""
    try:
        table = pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise StudyError(f"{file} cannot be read as a CSV table ({error}).") from None
    metrics = [name for name in table.columns if name not in KEYS]
    wrong = [name for name in metrics if not pd.api.types.is_numeric_dtype(table[name])]
    if not metrics or wrong:
        raise StudyError(
            f"{file} needs columns of numbers besides {', '.join(KEYS)}; {', '.join(wrong) or 'it has none'}."
        )
    keys = _keys(table, spec, file)
    scores = table[metrics].groupby(keys).mean()
    wanted = [spec.image_name(s.sha256) for s in spec.stimuli]
    missing = [name for name in wanted if name not in scores.index or scores.loc[name].isna().any()]
    if missing:
        raise StudyError(f"{file} has no score for {len(missing)} of {len(wanted)} pictures, {missing[0]} among them.")
    return scores.loc[list(dict.fromkeys(wanted))]


def _keys(table: pd.DataFrame, spec: StudySpec, file: Path) -> pd.Series:
    """The picture that each row scores, as the votes name it; what is none of the study stays unknown."""
    if "image" in table:
        return table["image"].map(lambda name: spec.image_name(Path(str(name)).stem))
    second = next((name for name in ("file", "prompt") if name in table), "")
    if "arm" not in table or not second:
        raise StudyError(f"{file} needs a column image, or arm and file, or arm and prompt.")
    known: dict[tuple[str, str], set[str]] = {}
    for s in spec.stimuli:
        known.setdefault((s.arm, getattr(s, second)), set()).add(spec.image_name(s.sha256))
    if twice := [key for key, images in known.items() if len(images) > 1]:
        raise StudyError(f"{second!r} does not tell the pictures of {twice[0][0]} apart: name them by image.")
    names: Mapping[tuple[str, str], str] = {key: next(iter(images)) for key, images in known.items()}
    pairs = zip(table["arm"].astype(str), table[second].astype(str), strict=True)
    return pd.Series([names.get(pair, "") for pair in pairs], table.index)


def _table(predictions: list[Predicted], ceilings: list[Ceiling]) -> Table:
    view = Table("metric", "question", "accuracy, ties left out", "p of chance", "arms, best score first")
    for one in predictions:
        cells = (one.metric, one.question, words.with_interval(one.accuracy), words.p_value(one.accuracy.p))
        view.add_row(*cells, ", ".join(one.arms))
    for one in ceilings:
        view.add_row("another rater", one.question, words.with_interval(one.another), "", "")
        view.add_row("majority of the others", one.question, words.with_interval(one.majority), "", "")
    return view
