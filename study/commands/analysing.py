"""Commands for the answers, and for planning how many are needed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro

from study.commands.options import Name
from study.errors import StudyError


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
        """Check an export or a report: recompute the chain of votes and every figure of its results.json."""

        name: Name
        """The folder of a report or an export; or a study's name, for a fresh export of its votes."""
        version: int | None = None
        manifest: str = ""
        """The hash that `export` or `report` printed: the files must still match it."""
        key: str = ""
        """The public key that `close` printed: head and manifest must be signed by it."""
        receipt: tuple[int, str] | None = None
        """The number and hash on a rater's last page: that vote must be in the chain."""

    options = tyro.cli(Verify, prog="python -m study verify", args=arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.name)
        if not (folder / "spec.json").is_file():
            store, folder = Store.open(), Path(temporary)
            export_study(store, find_study(store.database, options.name, options.version), folder)
        result = verify_export(folder, options.manifest, options.receipt, options.key)
        earlier = [verify_export(one, key=options.key) for one in pooled_folders(folder)]
        report = folder / "results.json"
        reported = report.is_file()
        wrong = differences(folder, report) if reported and not result.problems else []
    of_earlier = [problem for one in earlier for problem in one.problems]
    if result.problems or of_earlier or wrong:
        raise StudyError("\n".join((*result.problems, *of_earlier, *wrong)))
    print(f"{result.revisions} revisions, {result.votes} answers and {result.images} images are as they were written.")
    print(f"Hash of the last vote: {result.head or 'no vote yet'}")
    print(f"Manifest: {result.manifest or 'none; report.html and times of raters cannot be checked'}")
    print(f"Signed by: {result.key or 'nobody'}")
    print(f"Head: {result.closing}")
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
