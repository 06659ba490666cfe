"""`python -m study report NAME --out FOLDER`: one page for people, results.json for machines.

The page needs no network. Every figure follows from the export beside it: `recompute` gives results.json again.
"""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import tyro
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from plotly.offline import get_plotlyjs

from study.errors import StudyError
from study.protocol.spec import StudySpec
from study.reporting import figures, paragraphs, words
from study.reporting.blindness import CERTIFICATE, blindness_in_words
from study.reporting.export import HEAD, REGISTRATION, VERSIONS, pooled_folders
from study.reporting.manifest import add_to_manifest, manifest_hash, read_json
from study.reporting.pictures import by_category, data_uri, pictures
from study.stats import Results, plain, results
from study.stats.answers import own_ms
from study.stats.intervals import LEVEL
from study.store.certificates import certificate_of
from study.store.frames import head_of, read_tables
from study.store.signing import Key
from study.store.store import Store
from study.store.studies import StudyInfo
from study.store.versions import deviations, registration

FIGURES = 7  # of the way in which they are computed: another version's results.json cannot be compared


@dataclass(frozen=True)
class Report:
    """Write report.html, results.json and the export that they follow from."""

    name: Annotated[str, tyro.conf.Positional]
    """A study's name, or the folder of an export."""
    out: Path
    version: int | None = None
    """The newest by default."""


@dataclass(frozen=True)
class Export:
    """What an export says, read from its files or straight from the database."""

    spec: StudySpec
    votes: pd.DataFrame
    raters: pd.DataFrame
    closed: bool
    deviations: list[dict[str, Any]]
    """Each amendment: version, reason, time, what changed."""
    pooled: tuple[int, ...]
    """Earlier versions whose answers are counted, too."""
    certificate: dict[str, Any]
    """What an attack on the pages found; empty where there was none."""
    registration: dict[str, Any]
    """When the spec was frozen and the first answer came; empty where nothing was registered."""


def main(arguments: list[str]) -> None:
    options = tyro.cli(Report, prog="python -m study report", args=arguments)
    folder, key = Path(options.name), None
    if not (folder / "spec.json").is_file():
        folder, key = _export(options)
    print(build(folder, options.out, key))
    print(f"Manifest: {manifest_hash(options.out)}")


def _export(options: Report) -> tuple[Path, Key]:
    from study.reporting.export import export_pooled
    from study.store.store import Store
    from study.store.studies import find_study

    store = Store.open()
    study = find_study(store.database, options.name, options.version)
    export_pooled(store, study, options.out)
    return options.out, store.key


def read(folder: Path) -> Export:
    """Raises StudyError where the folder is no export."""
    try:
        spec = StudySpec.from_json((folder / "spec.json").read_text("utf-8"))
        folders = [*pooled_folders(folder), folder]
        votes, raters = (
            pd.concat([pd.read_parquet(one / f"{name}.parquet") for one in folders], ignore_index=True)
            for name in ("votes", "raters")
        )
        changed = folder / VERSIONS
        deviations = json.loads(changed.read_text("utf-8")) if changed.is_file() else []
        certificate, registration = (
            read_json(folder / name) if (folder / name).is_file() else {} for name in (CERTIFICATE, REGISTRATION)
        )
        versions, closed = tuple(int(one.name) for one in folders[:-1]), (folder / HEAD).is_file()
        return Export(spec, votes, raters, closed, deviations, versions, certificate, registration)
    except (OSError, ValueError) as error:
        raise StudyError(f"{folder} is no complete export ({error}): make one with `python -m study export`.") from None


def recompute(folder: Path) -> dict[str, Any]:
    """Every figure of the report, from the export alone: what results.json has to say."""
    export = read(folder)
    return _record(export, _results(export))


def _results(export: Export) -> Results:
    return results(export.votes, export.raters, export.spec, closed=export.closed)


def differences(folder: Path, written: Path) -> list[str]:
    """Figures in a results.json that do not follow from the export; empty where all do."""
    try:
        before = json.loads(written.read_text("utf-8"))
    except (OSError, ValueError):
        return [f"{written} cannot be read: make the report again."]
    if not isinstance(before, dict) or before.get("figures") != FIGURES:
        return [f"The figures of {written} were computed by another version of this program: make the report again."]
    return list(_differences(recompute(folder), before, ""))


def _differences(expected: Any, written: Any, where: str):
    if isinstance(expected, dict) and isinstance(written, dict):
        for key in sorted(expected.keys() | written.keys()):
            yield from _differences(expected.get(key), written.get(key), f"{where}/{key}")
    elif isinstance(expected, list) and isinstance(written, list) and len(expected) == len(written):
        for i, (a, b) in enumerate(zip(expected, written, strict=True)):
            yield from _differences(a, b, f"{where}/{i}")
    elif isinstance(expected, float) and isinstance(written, float | int):
        if not np.isclose(expected, written, rtol=1e-6, atol=1e-9):
            yield f"{where} is {written}, the export gives {expected}."
    elif expected != written:
        yield f"{where} is {written!r}, the export gives {expected!r}."


def build(folder: Path, out: Path, key: Key | None = None) -> Path:
    """Write report.html and results.json.

    Args:
        key: signs the manifest anew.

    Returns:
        The page.
    """
    export = read(folder)
    results = _results(export)
    record = _record(export, results)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    page = out / "report.html"
    page.write_text(_page(export, results, lambda name: folder / name), "utf-8")
    add_to_manifest(out, [page.name, "results.json"], key)
    return page


def page_now(store: Store, study: StudyInfo) -> str:
    """The page as the database has it now: no file is written, no picture copied. Raises StudyError: no answers yet."""
    tables = read_tables(store.database, study)
    export = Export(
        tables.spec,
        tables.votes,
        tables.raters,
        closed=bool(head_of(store.database, study)),
        deviations=deviations(store.database, study),
        pooled=(),
        certificate=certificate_of(store.database, study),
        registration=registration(study, store.database),
    )
    return _page(export, _results(export), lambda name: store.library.path(Path(name).stem))


def _record(export: Export, results: Results) -> dict[str, Any]:
    behind = pictures(_votes_that_count(export, results), export.spec)
    return {
        "figures": FIGURES,
        "study": export.spec.name,
        "spec": export.spec.hash,
        "level": LEVEL,
        "withdrawn": _withdrawn(export),
        "deviations": export.deviations,
        "pooled": list(export.pooled),
        "response_ms": _quantiles(own_ms(_votes_that_count(export, results))),
        "results": plain(results),
        "pictures": {name: plain(list(pairs)) for name, pairs in behind.items()},
    }


def _withdrawn(export: Export) -> list[str]:
    """Why raters' answers were withdrawn, one reason for each."""
    if "withdrawn" not in export.raters:  # before there were withdrawals
        return []
    return sorted(reason for reason in export.raters["withdrawn"] if reason)


def _quantiles(values: pd.Series) -> dict[str, float]:
    return {name: float(values.quantile(q)) for name, q in (("p05", 0.05), ("median", 0.5), ("p95", 0.95))}


def _votes_that_count(export: Export, results: Results) -> pd.DataFrame:
    return export.votes[~export.votes["rater"].isin(results.flow.excluded)]


def page_template() -> Template:
    environment = Environment(loader=PackageLoader("study.reporting"), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {
        "counted": words.counted,
        "percent": words.percent,
        "interval": words.with_interval,
        "p": words.p_value,
    }
    return environment.get_template("report.html")


def _page(export: Export, results: Results, picture: Callable[[str], Path]) -> str:
    """`picture`: where the file of a name in the export is."""
    texts = {q.key: q.text for q in export.spec.questions}
    return page_template().render(
        spec=export.spec,
        results=results,
        texts=texts,
        picture=lambda name: data_uri(picture(name)),
        verdicts=words.verdicts(export.spec, results),
        interim=words.interim(results.reached, export.spec.quota_unit),
        withdrawn=_withdrawn(export),
        deviations=export.deviations,
        pooled=export.pooled,
        fragile=_fragile(export.spec, results),
        claims=[(texts[one.hypothesis.question], words.claimed(one, results.reached)) for one in results.registered],
        blind=blindness_in_words(export.certificate),
        registration=export.registration,
        halo=words.halo(results.kept),
        methods=paragraphs.methods(export.spec, results),
        times=_quantiles(own_ms(_votes_that_count(export, results))),
        driven=by_category(_votes_that_count(export, results), export.spec, results.kept),
        pictures=pictures(_votes_that_count(export, results), export.spec),
        figures=_figures(export, results),
        plotly=_packed_plotly(),
    )


@lru_cache
def _packed_plotly() -> str:
    """The charts' library, compressed and in base64."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _fragile(spec: StudySpec, results: Results) -> dict[str, str]:
    """By question, where a verdict on two arms is given by p-values."""
    if len(spec.arms) > 2 or spec.stopping.rule != "quota" or not results.reached.over:
        return {}
    return {key: words.fragile(one) for key, q in results.kept.questions.items() for one in q.fragility}


def _figures(export: Export, results: Results) -> str:
    """Every figure in every look, as JSON that may stand inside a script element."""
    plots = {
        name: {look: draw(figures.LOOKS[look]) for look in figures.LOOKS} for name, draw in _drawers(export, results)
    }
    text = json.dumps({name: {look: json.loads(f.to_json()) for look, f in by.items()} for name, by in plots.items()})
    return text.replace("<", "\\u003c")


def _drawers(export: Export, results: Results) -> list[tuple[str, Callable[[figures.Look], go.Figure]]]:
    kept, names = results.kept, {q.key: q.key for q in export.spec.questions}
    alpha, rules = export.spec.stopping.alpha, export.spec.exclusions
    limit = rules.min_median_pace_ms or rules.min_median_response_ms
    drawers = [
        ("outcomes", lambda look: figures.outcomes(kept, names, look)),
        ("win_rates", lambda look: figures.win_rates(kept, names, look)),
        ("agreement", lambda look: figures.agreement(kept, names, look)),
        ("response_times", lambda look: figures.response_times(export.votes, limit, look)),
        ("progress", lambda look: figures.progress(export.votes, look)),
    ]
    if any(q.ranking for q in kept.questions.values()):
        drawers.append(("strengths", lambda look: figures.strengths(kept, names, look)))
    if any(q.categories for q in kept.questions.values()):
        drawers.append(("categories", lambda look: figures.categories(kept, names, look)))
    if any(e.raters for e in results.evidence.values()):
        drawers.append(("evidence", lambda look: figures.evidence(results.evidence, names, alpha, look)))
    return drawers
