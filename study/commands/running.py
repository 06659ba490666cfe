"""Commands for the time while raters answer."""

from dataclasses import dataclass

import tyro

from study.commands.options import Name


def links_command(arguments: list[str]) -> None:
    from study.store.certificates import check_certified
    from study.store.raters import invite
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Links:
        """Print the open link, or a personal link for each label."""

        name: Name
        invite: tuple[str, ...] = ()
        """One label per person, such as an e-mail address; it is stored but never exported."""
        url: str = "http://127.0.0.1:8000"
        """Where raters reach the server."""
        certified: bool = False
        """Print links only if the study has passed `study certify`."""

    options = tyro.cli(Links, prog="python -m study links", args=arguments)
    database = Store.open().database
    study = find_study(database, options.name)
    if options.certified:
        check_certified(database, study)
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
        """0 picks any free port."""
        certified: bool = False
        """Keep raters out of every study that has not passed `study certify`."""

    options = tyro.cli(Serve, prog="python -m study serve", args=arguments)
    serve(Store.open(), options.host, options.port, options.certified)


def progress_command(arguments: list[str]) -> None:
    from study.store.store import Store
    from study.store.studies import find_study, progress

    @dataclass(frozen=True)
    class Show:
        """Show the progress of a study."""

        name: Name

    options = tyro.cli(Show, prog="python -m study progress", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    now = progress(store.database, study)
    states = ", ".join(f"{count} {status}" for status, count in now.raters.items())
    print(f"{study.name} version {study.version}: {now.raters_planned} raters planned; {states}")
    print(f"{now.votes} answers; {now.pairs_complete} of {now.pairs} {study.spec.quota_unit}s have all their raters")


def people_command(arguments: list[str]) -> None:
    from study.store.raters import people
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class People:
        """List who took part, with completion codes, so that you can pay them; exports hold none of this."""

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
        """Their ID, completion code, platform ID or label, as `study people` prints it."""

    options = tyro.cli(Release, prog="python -m study release", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    release(store.database, study, find_named(store.database, study, options.rater))
    print(f"The open pairs of {options.rater} now go to others.")


def drop_command(arguments: list[str]) -> None:
    from study.store.leaving import drop, find_named
    from study.store.store import Store
    from study.store.studies import find_study

    @dataclass(frozen=True)
    class Drop:
        """Withdraw a rater's answers: they stay in the chain, count in no figure, and the report says so."""

        name: Name
        rater: Name
        """Their ID, completion code, platform ID or label, as `study people` prints it."""
        reason: str
        """Printed in the report; it must not name the person."""
        erase: bool = False
        """Also remove what identifies the person: ID or label, completion code, times, window, remarks."""

    options = tyro.cli(Drop, prog="python -m study drop", args=arguments)
    store = Store.open()
    study = find_study(store.database, options.name)
    drop(store.database, study, find_named(store.database, study, options.rater), options.reason, options.erase)
    print(f"The answers of {options.rater} no longer count{'; the name is erased' if options.erase else ''}.")


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
