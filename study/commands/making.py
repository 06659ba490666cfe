"""Commands that make studies and change them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from study.commands.options import Name, with_new_names
from study.errors import StudyError
from study.protocol.choices import APART, Pages, Plan

JPEG = (".jpg", ".jpeg")
MOST_LINES = 20  # of the files that are compared


def create_command(arguments: list[str]) -> None:
    from study.images.sources import gold_from_manifest, pairing, sources_from_folders, sources_from_manifest
    from study.protocol.parts import DEFAULT_QUESTIONS, REFERENCE, Page
    from study.simulation.power import promise, shown_as_they_go
    from study.store.creating import check_name, make_study
    from study.store.pages import page_of
    from study.store.store import Store

    @dataclass(frozen=True)
    class Create:
        """Make a study from folders of images, or from a manifest."""

        name: str
        arms: tuple[str, ...] = ()
        """`name=folder` for each arm; without --prompts, each folder needs a manifest.jsonl, as e2ed2 writes it."""
        prompts: Path | None = None
        """One prompt per line, for the images of each folder in file-name order; `none` shows no prompts."""
        manifest: Path | None = None
        """Instead of folders: a CSV or JSONL file with prompt, arm, file, and perhaps category."""
        gold: Path | None = None
        """Your own gold pairs instead of spoilt copies: a CSV or JSONL file with prompt, better, worse."""
        references: Path | None = None
        """A folder of pictures to show beside each pair, named like the arms'; a manifest has a column `reference`."""
        pages: Annotated[Pages, tyro.conf.arg(name="")] = field(default_factory=Pages)
        plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)

    options = tyro.cli(Create, prog="python -m study create", args=with_new_names(arguments))
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
    if options.plan.image_quality is None and all(source.file.suffix.lower() in JPEG for source in sources):
        print("Note: all images are JPEG files; with --image-quality 95 raters load about a quarter of the bytes.")
    store, changes = Store.open(), options.plan.changes()
    if unnamed:  # whether a picture fits its description cannot be asked
        changes.setdefault("questions", DEFAULT_QUESTIONS[:2])
    check_name(store, options.name)
    page = page_of(options.pages, store.library, Page(show_prompts=not unnamed), options.plan.image_quality)
    study = make_study(store, options.name, sources, gold, progress_bar, page=page, **changes)
    _describe(study)
    print(promise(study.spec, progress=shown_as_they_go))


def amend_command(arguments: list[str]) -> None:
    from study.store.pages import page_of
    from study.store.store import Store
    from study.store.studies import amend_study, find_study

    @dataclass(frozen=True)
    class Amend:
        """Make a new version and record why; options that you leave out keep their values."""

        name: Name
        reason: str
        pages: Annotated[Pages, tyro.conf.arg(name="")] = field(default_factory=Pages)
        plan: Annotated[Plan, tyro.conf.arg(name="")] = field(default_factory=Plan)

    named = bool(arguments) and not arguments[0].startswith("-")
    default: Any = tyro.MISSING
    if named:  # options that are left out keep the study's values
        spec = find_study(Store.open().database, arguments[0]).spec
        known = {f.name for f in fields(Plan)} - set(APART)
        default = Amend(arguments[0], tyro.MISSING, plan=Plan(**{name: getattr(spec, name) for name in known}))
    options: Any = tyro.cli(Amend, prog="python -m study amend", args=with_new_names(arguments), default=default)
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
        """Change practical settings while the study runs: it keeps its version, its links and its votes."""

        name: Name
        contact: str | None = None
        completion_url: str | None = None
        full_url: str | None = None
        open_cap: int | None = None
        abandoned_after_minutes: int | None = None

    options = tyro.cli(Adjust, prog="python -m study adjust", args=arguments)
    changes = {name: value for name, value in vars(options).items() if name != "name" and value is not None}
    adjust_study(Store.open().database, options.name, **changes)
    print(f"{options.name} now has " + ", ".join(f"{name} {value!r}" for name, value in changes.items()) + ".")


def list_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import list_studies

    @dataclass(frozen=True)
    class List:
        """List the studies."""

        visitors: bool = False
        """List the pairs that visitors chose instead of the designed studies."""

    options = tyro.cli(List, prog="python -m study list", args=arguments)
    for study in list_studies(Store.open().database, options.visitors):
        state = "closed" if study.closed else "open"
        print(f"{study.name} version {study.version}, {state}{f': {study.reason}' if study.reason else ''}")


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
