"""How the Compare page's fields are wired."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from app.engine.services import FRESH_SEEDS
from app.look.handlers import FAILED, GENERATING, QUIET, SAYING, UNCHECKED, afterwards, at_once, busy
from app.look.tables import MARK
from app.pages.compare.layout import BLIND, PROMPT, VOTE_ON
from app.pages.generate.page import COPY, IN_THE_BAR

if TYPE_CHECKING:
    from app.pages.compare.page import ComparePage

OTHER_SEED = f"() => Math.floor({FRESH_SEEDS} * Math.random())"
# “Exactly my words” holds for the prompt in the address or the initial one; any other prompt is read.
READ_AGAIN = f"""(prompt, exactly) =>
    exactly && prompt === (new URLSearchParams(location.search).get("prompt") ?? "{PROMPT}")"""
# The address is empty if the pair cannot be voted on.
TO_BALLOT = """(address) => {
    if (!address) return;
    const form = Object.assign(document.createElement("form"), { method: "post", action: address });
    document.body.append(form);
    form.submit();
}"""


def wire(page: "ComparePage", demo: gr.Blocks) -> None:
    of_models = [page.prompt, page.models, page.seed, page.exactly]
    of_any = [
        *(page.prompt, page.model, page.steps, page.seed, page.style, page.exactly),
        *(page.rows, page.row_values, page.columns, page.column_values),
    ]
    wire_grid(page, demo, of_models, of_any)
    wire_pair(page, of_models)
    for kind, values in ((page.rows, page.row_values), (page.columns, page.column_values)):
        kind.input(page.begin_axis, kind, [values, page.exactly], **QUIET)
    page.prompt.change(None, [page.prompt, page.exactly], page.exactly, js=READ_AGAIN, **QUIET)
    page.address.change(None, page.address, js=IN_THE_BAR, **QUIET)
    page.share.click(None, page.address, page.share, js=COPY, **QUIET)
    page.address.change(outputs=page.share, **at_once("Copy link"))


def wire_grid(page: "ComparePage", demo: gr.Blocks, of_models: list[Any], of_any: list[Any]) -> None:
    # What an API client needs comes first.
    results = [
        *(page.grid, page.status, page.png, page.page, page.manifest, page.address),
        *(page.left, page.right, page.pair, page.compared),
    ]
    opened = [*of_models, *(field for field in of_any if field not in of_models), page.kinds, page.status]
    welcome = demo.load(page.open_page, None, opened, **QUIET).success(
        page.welcome,
        [page.prompt, page.models, *of_any[1:], page.status],
        results,
        api_visibility="private",
        preprocess=False,
        **GENERATING,
    )
    started = gr.on(
        [page.go.click, page.prompt.submit],
        outputs=[page.go, page.status],
        **at_once(busy("Generating …"), "Getting the models ready …"),
    )
    by_models = started.then(
        page.compare,
        of_models,
        results,
        api_name="compare",
        preprocess=False,
        **GENERATING,
        api_description="Generate a prompt with several models at every number of steps, all from the noise of one "
        "seed. Returns the table, one line about it, and the table as a PNG file, a web page and a manifest.",
    )
    noise = page.other.click(None, None, page.seed, js=OTHER_SEED, **QUIET)
    again = noise.success(page.compare, of_models, results, api_visibility="private", preprocess=False, **GENERATING)
    pressed = page.go_any.click(
        outputs=[page.go_any, page.status], **at_once(busy("Generating …"), "Getting the models ready …")
    )
    by_any = pressed.then(
        page.compare_any,
        of_any,
        results,
        api_name="compare_any",
        preprocess=False,
        **GENERATING,
        api_description="Two of prompts, models, steps, seeds and styles, in rows and columns. Returns the table, one "
        "line about it, and the table as a PNG file, a web page and a manifest.",
    )
    for done in (welcome, by_models, again, by_any):
        afterwards(
            done, page.enable, page.compared, [page.go, page.go_any, page.png, page.page, page.manifest], **QUIET
        )
        done.failure(outputs=page.status, **at_once(FAILED))


def wire_pair(page: "ComparePage", of_models: list[Any]) -> None:
    pair = [page.left, page.right, page.compared]
    page.grid.select(page.choose, pair, pair[:2], **UNCHECKED)
    changed = [one.change for one in pair]
    gr.on(changed, page.side_by_side, pair, page.slider, **UNCHECKED)
    gr.on(changed, None, pair[:2], js=MARK, **QUIET)
    for button, label, act, inputs, options in (
        (page.vote, VOTE_ON, page.open_ballot, pair, SAYING),
        (page.blind, BLIND, page.vote_blind, of_models, {"api_visibility": "private", **GENERATING}),
    ):
        chosen = button.click(outputs=button, **at_once(busy("Opening the pair …")))
        opened = chosen.then(act, inputs, [page.ballot, button], preprocess=False, **options)
        opened.success(None, page.ballot, js=TO_BALLOT)
        opened.failure(outputs=button, **at_once(gr.update(value=label, interactive=True)))
