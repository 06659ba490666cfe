"""How the Trajectory page's fields are wired."""

from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.events import Dependency

from app.look.handlers import FAILED, GENERATING, QUIET, UNCHECKED, afterwards, at_once, busy
from app.pages.generate.page import IN_THE_BAR
from app.pages.trajectory.tables import SEEDS, STAGES

if TYPE_CHECKING:
    from app.pages.trajectory.page import TrajectoryPage


def wire(page: "TrajectoryPage", demo: gr.Blocks) -> None:
    both = [page.prompt, page.model, page.second, page.steps, page.seed, page.exactly]
    opened = demo.load(page.open_page, None, both, **QUIET)
    # Not queued: a visitor who leaves meanwhile would break the stream of its answers.
    opened.success(page.welcome, [*both, page.status], [page.table, page.status], **UNCHECKED)
    page.address.change(None, page.address, js=IN_THE_BAR, **QUIET)
    chosen = [page.model, page.second]
    gr.on([one.change for one in chosen], page.suit_models, [*chosen, page.steps], page.steps, **UNCHECKED)
    common = [page.prompt, page.model, page.steps, page.seed]
    watched = wire_button(
        page,
        [page.watch.click, page.prompt.submit],
        page.watch,
        page.show_steps,
        both,
        page.table,
        "trajectory",
        "Every step of one picture by two models. Returns a table and a line.",
    )
    watched.success(page.address_of, both, page.address, **UNCHECKED)
    wire_button(
        page,
        [page.try_seeds.click],
        page.try_seeds,
        page.show_seeds,
        [*common, page.exactly],
        page.seeds,
        "seeds",
        f"{SEEDS} pictures of one prompt from different noise. Returns the pictures and a line.",
    )
    wire_button(
        page,
        [page.blend.click, page.other.submit],
        page.blend,
        page.show_between,
        [*common, page.other, page.exactly],
        page.between,
        "between",
        f"{STAGES} pictures on the way from one prompt to another. Returns the pictures and a line.",
    )


def wire_button(
    page: "TrajectoryPage",
    triggers: list[Any],
    button: gr.Button,
    act: Any,
    inputs: list,
    output: Any,
    name: str,
    description: str,
) -> Dependency:
    """Show that the button was pressed, generate, and give the button back."""
    pressed = gr.on(triggers, outputs=[button, page.status], **at_once(busy("Generating …"), "Generating …"))
    room = pressed.then(outputs=output, **at_once(gr.update(visible=True)))
    done = room.then(
        act,
        inputs,
        [output, page.status],
        preprocess=False,
        api_name=name,
        api_description=description,
        **GENERATING,
    )
    afterwards(done, outputs=button, **at_once(gr.update(value=button.value, interactive=True)))
    done.failure(outputs=page.status, **at_once(FAILED))
    return done
