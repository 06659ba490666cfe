"""`python -m study COMMAND ...`: the commands are at the end of this file."""

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from study.errors import StudyError
from study.protocol.choices import APART, Pages, Plan

MOST_LINES = 20  # of the files that are compared
Name = Annotated[str, tyro.conf.Positional]


def main() -> None:
    """Run the command; a mistake is reported in plain sentences, with exit status 2."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        print(f"usage: python -m study {{{','.join(COMMANDS)}}} ...   (each with --help)", file=sys.stderr)
        raise SystemExit(0 if name in ("-h", "--help") else 2)
    try:
        COMMANDS[name](sys.argv[2:])
    except StudyError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None


def create_command(arguments: list[str]) -> None:
    from study.images.sources import gold_from_manifest, pairing, sources_from_folders, sources_from_manifest
    from study.protocol.parts import DEFAULT_QUESTIONS, REFERENCE, Page
    from study.simulation.power import promise
    from study.store.creating import check_name, make_study
    from study.store.pages import page_of
    from study.store.store import Store

    @dataclass(frozen=True)
    class Create:
        """Make a study from folders of images, or from a manifest."""

        name: str
        arms: tuple[str, ...] = ()
        """`name=folder` for each arm; without --prompts each folder has a manifest.jsonl, as e2ed2 writes it."""
        prompts: Path | None = None
        """One prompt a line, for the images of each folder in file-name order; `none`: none is shown."""
        manifest: Path | None = None
        """Instead of folders: a CSV or JSONL file with prompt, arm, file, and perhaps category."""
        gold: Path | None = None
        """Own gold pairs, instead of spoilt copies: a CSV or JSONL file with prompt, better, worse."""
        references: Path | None = None
        """A folder of pictures to show beside both, named as those of the arms; a manifest has a column `reference`."""
        pages: Annotated[Pages, tyro.conf.arg(name="")] = field(default_factory=Pages)
        plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)

    options = tyro.cli(Create, prog="python -m study create", args=arguments)
    if bool(options.arms) == bool(options.manifest):
        raise StudyError("Say where the images are: either --arms name=folder ..., or --manifest file.")
    unnamed = options.prompts == Path("none")
    if options.manifest:
        sources = sources_from_manifest(options.manifest)
    else:
        beside = {REFERENCE: options.references} if options.references else {}
        sources = sources_from_folders(_folders(options.arms) | beside, None if unnamed else options.prompts, unnamed)
    gold = gold_from_manifest(options.gold) if options.gold else ()
    lines = list(pairing(sources))
    print("\n".join(lines[:MOST_LINES] + [f"... and {len(lines) - MOST_LINES} more"] * (len(lines) > MOST_LINES)))
    store, changes = Store.open(), options.plan.changes()
    if unnamed:  # whether a picture fits its description cannot be asked
        changes.setdefault("questions", DEFAULT_QUESTIONS[:2])
    check_name(store, options.name)
    page = page_of(options.pages, store.library, Page(show_prompts=not unnamed), options.plan.image_quality)
    study = make_study(store, options.name, sources, gold, progress_bar, page=page, **changes)
    _describe(study)
    print(promise(study.spec))


def list_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import list_studies

    @dataclass(frozen=True)
    class List:
        """Name the studies."""

        visitors: bool = False
        """The pairs that visitors chose, instead of the designed studies."""

    options = tyro.cli(List, prog="python -m study list", args=arguments)
    for study in list_studies(Store.open().database, options.visitors):
        state = "closed" if study.closed else "open"
        print(f"{study.name} version {study.version}, {state}{f': {study.reason}' if study.reason else ''}")


def links_command(arguments: list[str]) -> None:
    from study.store.raters import invite
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Links:
        """Print the open link, or a personal link for each label."""

        name: Name
        invite: tuple[str, ...] = ()
        """One label a person, such as an e-mail address; it is stored, and never exported."""
        url: str = "http://127.0.0.1:8000"
        """Where raters reach the server."""

    options = tyro.cli(Links, prog="python -m study links", args=arguments)
    study = find_study(Store.open().database, options.name)
    for label in options.invite:
        print(f"{label} {options.url.rstrip('/')}/invite/{study.token}/{invite(study, label)}")
    if not options.invite:
        print(f"{options.url.rstrip('/')}/join/{study.token}")


def serve_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.web import serve

    @dataclass(frozen=True)
    class Serve:
        """Serve the rater's pages of all studies."""

        host: str = "127.0.0.1"
        port: int = 8000
        """0 takes any free one."""

    options = tyro.cli(Serve, prog="python -m study serve", args=arguments)
    serve(Store.open(), options.host, options.port)


def progress_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import find_study, progress

    @dataclass(frozen=True)
    class Show:
        """Say how far a study is."""

        name: Name

    options = tyro.cli(Show, prog="python -m study progress", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    found = progress(store.database, study)
    states = ", ".join(f"{count} {status}" for status, count in found.raters.items())
    print(f"{study.name} version {study.version}: {found.raters_planned} raters planned; {states}")
    print(f"{found.votes} answers; {found.pairs_complete} of {found.pairs} pairs have all their raters")


def people_command(arguments: list[str]) -> None:
    from study.store.raters import people
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class People:
        """Who took part, with completion codes, for paying them; exports hold none of it."""

        name: Name

    options = tyro.cli(People, prog="python -m study people", args=arguments)
    store = Store.open()
    for row in people(store.database, find_study(store.database, options.name)):
        print("\t".join(row).rstrip())


def release_command(arguments: list[str]) -> None:
    from study.store.leaving import find_named, release
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Release:
        """Give a rater's open pairs to others at once; the answers given stay, and the rater may come back."""

        name: Name
        rater: Name
        """Id, completion code, platform's ID or label, as `study people` prints them."""

    options = tyro.cli(Release, prog="python -m study release", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    release(store.database, study, find_named(store.database, study, options.rater))
    print(f"The open pairs of {options.rater} go to others.")


def drop_command(arguments: list[str]) -> None:
    from study.store.leaving import drop, find_named
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Drop:
        """Withdraw a rater's answers: they stay in the chain, count in no figure, and the report says so."""

        name: Name
        rater: Name
        """Id, completion code, platform's ID or label, as `study people` prints them."""
        reason: str
        """For the report; it must not name the person."""
        erase: bool = False
        """Remove what identifies the person, too: the platform's ID or the label."""

    options = tyro.cli(Drop, prog="python -m study drop", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    drop(store.database, study, find_named(store.database, study, options.rater), options.reason, options.erase)
    print(f"The answers of {options.rater} count no more{'; the name is erased' if options.erase else ''}.")


def amend_command(arguments: list[str]) -> None:
    from study.store.pages import page_of
    from study.store.store import Store
    from study.store.studies import amend_study, find_study

    @dataclass(frozen=True)
    class Amend:
        """Make a new version, and record why; what is not named stays as it is."""

        name: Name
        reason: str
        pages: Annotated[Pages, tyro.conf.arg(name="")] = field(default_factory=Pages)
        plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)

    named = bool(arguments) and not arguments[0].startswith("-")
    default: Any = tyro.MISSING
    if named:  # the options that are not named keep the study's values
        spec = find_study(Store.open().database, arguments[0]).spec
        known = {f.name for f in fields(Plan)} - set(APART)
        default = Amend(arguments[0], tyro.MISSING, plan=Plan(**{name: getattr(spec, name) for name in known}))
    options: Any = tyro.cli(Amend, prog="python -m study amend", args=arguments, default=default)
    if not named:
        raise StudyError("Name the study first: python -m study amend NAME --reason ...")
    store = Store.open()
    old = find_study(store.database, options.name).spec
    if options.plan.image_quality != old.image_quality:
        raise StudyError("An amendment keeps the images as they are stored: make a new study for another quality.")
    page = page_of(options.pages, store.library, old.page, old.image_quality)
    _describe(amend_study(store, options.name, options.reason, page=page, **options.plan.changes()))


def adjust_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import adjust_study

    @dataclass(frozen=True)
    class Adjust:
        """Change what is no science, while the study runs: it keeps its version, its links and its votes."""

        name: Name
        contact: str | None = None
        completion_url: str | None = None
        full_url: str | None = None
        open_cap: int | None = None
        abandoned_after_minutes: int | None = None

    options = tyro.cli(Adjust, prog="python -m study adjust", args=arguments)
    changes = {name: value for name, value in vars(options).items() if name != "name" and value is not None}
    adjust_study(Store.open().database, options.name, **changes)
    print(f"{options.name} goes on with " + ", ".join(f"{name} {value!r}" for name, value in changes.items()) + ".")


def close_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import close_study

    @dataclass(frozen=True)
    class Close:
        """Close recruitment; raters in progress can finish."""

        name: Name

    options = tyro.cli(Close, prog="python -m study close", args=arguments)
    key = close_study(Store.open(), options.name)
    print(f"{options.name} is closed to new raters, and its votes are signed. Public key: {key}")


def export_command(arguments: list[str]) -> None:
    from study.reporting.export import export_study
    from study.reporting.manifest import manifest_hash
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Export:
        """Write the tables as Parquet, CSV and JSON, all revisions, the spec and the images."""

        name: Name
        out: Path
        version: int | None = None
        """The newest by default."""

    options = tyro.cli(Export, prog="python -m study export", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name, options.version)
    tables = export_study(store, study, options.out)
    print(f"{len(tables.votes)} answers of {len(tables.raters)} raters: {options.out}")
    print(f"Manifest: {manifest_hash(options.out)}")


def verify_command(arguments: list[str]) -> None:
    from study.reporting.export import export_study, pooled_folders
    from study.reporting.report import differences
    from study.reporting.verify import verify_export
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Verify:
        """Recompute an export, a report's too: the chain of votes, and every figure of results.json beside it."""

        name: Name
        """The folder of a report or an export; or a study's name, for a fresh export of its votes."""
        version: int | None = None
        manifest: str = ""
        """The hash that `export` or `report` printed: the files must be those of then."""
        key: str = ""
        """The public key that `close` printed: head and manifest must be signed by it."""
        receipt: tuple[int, str] | None = None
        """Number and hash of a vote, as a rater's last page shows them: it must be in the chain."""

    options = tyro.cli(Verify, prog="python -m study verify", args=arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.name)
        if not (folder / "spec.json").is_file():
            store, folder = Store.open(), Path(temporary)
            export_study(store, find_study(store.database, options.name, options.version), folder)
        found = verify_export(folder, options.manifest, options.receipt, options.key)
        earlier = [verify_export(one, key=options.key) for one in pooled_folders(folder)]
        report = folder / "results.json"
        reported = report.is_file()
        wrong = differences(folder, report) if reported and not found.problems else []
    of_earlier = [problem for one in earlier for problem in one.problems]
    if found.problems or of_earlier or wrong:
        raise StudyError("\n".join((*found.problems, *of_earlier, *wrong)))
    print(f"{found.revisions} revisions, {found.votes} answers and {found.images} images are as they were written.")
    print(f"Hash of the last vote: {found.head or 'no vote yet'}")
    print(f"Manifest: {found.manifest or 'none; report.html and times of raters cannot be checked'}")
    print(f"Signed by: {found.key or 'nobody'}")
    print(f"Head: {found.closing}")
    if reported:
        print("Every figure of results.json follows from the votes.")


def report_command(arguments: list[str]) -> None:
    from study.reporting.report import main

    main(arguments)


def methods_command(arguments: list[str]) -> None:
    from study.reporting.methods import main

    main(arguments)


def metrics_command(arguments: list[str]) -> None:
    from study.reporting.metrics import main

    main(arguments)


def simulate_command(arguments: list[str]) -> None:
    from study.simulation.power import main

    main(arguments)


def _describe(study: Any) -> None:
    from study.protocol.balanced import comparisons, plan, rater_count

    spec = study.spec
    print(
        f"Study {study.name} version {study.version}: {len(spec.arms)} arms, {len(spec.prompts)} prompts, "
        f"{len(comparisons(spec))} pairs, {len(spec.questions)} questions"
    )
    print(f"{rater_count(spec)} raters see about {len(plan(spec, 0))} pairs each")
    for note in spec.notes:
        print(f"Note: {note}")
    print(f"Spec: {spec.hash}")
    print(f"Next: python -m study serve, and hand out what python -m study links {study.name} prints")


def progress_bar(items: Iterable, total: int) -> Iterable:
    from rich.console import Console
    from rich.progress import track

    return track(items, "Storing images", total, console=Console(stderr=True), transient=True)


def _folders(arms: Sequence[str]) -> dict[str, Path]:
    pairs = [arm.partition("=") for arm in arms]
    if not all(name and folder for name, _, folder in pairs):
        raise StudyError("Give each arm as name=folder, for example --arms ours=./a sdxl=./b.")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise StudyError("Two arms have the same name: give each its own.")
    return {name: Path(folder) for name, _, folder in pairs}


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "create": create_command,
    "list": list_command,
    "links": links_command,
    "serve": serve_command,
    "progress": progress_command,
    "people": people_command,
    "release": release_command,
    "drop": drop_command,
    "amend": amend_command,
    "adjust": adjust_command,
    "close": close_command,
    "export": export_command,
    "verify": verify_command,
    "report": report_command,
    "methods": methods_command,
    "metrics": metrics_command,
    "simulate": simulate_command,
}
