"""How the fields of visitors' own trainings are wired."""

from typing import TYPE_CHECKING

from app.look.handlers import QUIET, SAYING, UNCHECKED, at_once, busy

if TYPE_CHECKING:
    from app.pages.training.own import OwnTrainings


def wire_own(page: "OwnTrainings") -> None:
    progress, asked_for = (
        page.progressing(),
        [page.base, page.loss, page.updates, page.own.files, page.name, page.note],
    )
    begun = page.start.click(outputs=page.start, **at_once(busy("Starting …"))).then(
        page.begin,
        [*asked_for, page.own.captions, page.pleasing],
        progress,
        api_name="train",
        preprocess=False,
        concurrency_limit=1,
        show_progress="hidden",
        api_description="Start a short training. Returns a line about it.",
    )
    halted = page.stop.click(outputs=page.stop, **at_once(busy("Stopping …"))).then(
        page.halt,
        None,
        progress,
        api_name="stop_training",
        queue=False,
        show_progress="hidden",
        api_description="Stop the training after the update that is being made. Returns a line.",
    )
    resumed = page.go_on.click(outputs=page.go_on, **at_once(busy("Starting …"))).then(
        page.resume, None, progress, **SAYING
    )
    pressed = page.measure.click(outputs=page.measure, **at_once(busy("Measuring, about a minute …")))
    measured = pressed.then(page.measure_time, [*asked_for[:3], page.pleasing], progress, preprocess=False, **SAYING)
    for done in (begun, halted, resumed, measured):
        done.failure(page.progress, None, progress, **QUIET)
    page.kept.change(page.note_of, page.kept, page.kept_note, **UNCHECKED)
    confirmed = 'name => confirm(`Delete ${name} with its model?`) ? name : ""'
    page.delete.click(page.remove, page.kept, progress, js=confirmed, preprocess=False, **SAYING)
    packed = page.pack.click(page.packed, page.kept, [page.package, page.status], preprocess=False, **SAYING)
    save = """(file) => {
        if (file) Object.assign(document.createElement("a"), { href: file.url, download: file.orig_name }).click();
    }"""
    packed.success(None, page.package, js=save, **QUIET)
