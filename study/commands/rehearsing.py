"""Commands for the time before the first rater."""


def rehearse_command(arguments: list[str]) -> None:
    from study.rehearsal.rehearse import main

    main(arguments)


def certify_command(arguments: list[str]) -> None:
    from study.rehearsal.certify import main

    main(arguments)
