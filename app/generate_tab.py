"""The Generate page: type a prompt, watch the pictures appear."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.services import NO_MODELS, ForgedError, Services, fresh_seed
from e2ed2.errors import UserError
from e2ed2.generate import MAX_COUNT, MAX_PROMPT, STEPS, Settings

EXAMPLES = ["red apple", "cat face", "sunflower", "rainbow", "rocket", "a castle on a hill", "red apple, noto style",
            "pizza, openmoji style"]  # fmt: skip
MODELS = {
    "energy": "energy score + perceptual, keeps variety",
    "l1": "absolute error",
    "l2": "squared error",
    "l2-lpips": "squared error + perceptual",
    "l2-lpips-gan": "squared error + perceptual + adversarial",
    "lpips": "perceptual",
    "single-step": "baseline, learned one step at a time",
}
FAVOURITE = "l2-lpips"
HINT = (
    "The models know about 1,000 things that have an emoji, in six drawing styles: noto, twemoji, flat, fluent, "
    "openmoji and emojione. Name a style for a clear picture: without one these first models paint a blend of all six, "
    "and the seed changes little. "
    "A prompt about anything else is welcome too: you get something near."
)


def build_generate_tab(services: Services) -> None:
    def generate(prompt, model, steps, seed, randomise, count, request: gr.Request) -> Iterator[tuple[Any, ...]]:
        try:
            jobs = services.plan(prompt, model, steps, fresh_seed() if randomise else seed, count)
            with services.stoppable(request.session_hash) as stopped:
                yield [], "Getting the model ready …", jobs[0].seed
                services.load(jobs[0].model)
                pictures, start = [], time.perf_counter()
                while len(pictures) < len(jobs) and not stopped.is_set():
                    yield pictures, f"Painting picture {len(pictures) + 1} of {len(jobs)} …", jobs[0].seed
                    job = jobs[len(pictures)]
                    pictures.append((services.paint(job), f"seed {job.seed}"))
                yield pictures, summary(jobs, len(pictures), time.perf_counter() - start), jobs[0].seed
        except ForgedError as error:
            raise gr.Error(str(error), print_exception=False) from error
        except UserError as error:
            # Not gr.Error, which would leave the outputs unclickable; the visitor's input stays as it is.
            gr.Warning(str(error))
            yield gr.skip(), str(error), gr.skip()

    def stop(request: gr.Request) -> None:
        services.stop(request.session_hash)

    with gr.Row(elem_id="ask"):
        prompt = gr.Textbox(
            label="Prompt", info=f"What would you like to see? A few words, at most {MAX_PROMPT} characters.",
            placeholder="For example: red apple, noto style", lines=1, max_lines=1, scale=5, min_width=280,
        )  # fmt: skip
        paint_button = gr.Button("Paint", variant="primary", scale=1, min_width=110)
        stop_button = gr.Button("Stop", variant="stop", scale=1, min_width=110, visible=False)
    gr.Examples(EXAMPLES, prompt, label="Or take one of these", api_visibility="private")

    with gr.Row():
        with gr.Column(scale=3, min_width=320):
            pictures = gr.Gallery(
                label="Pictures", show_label=False, format="png", columns=2, height="auto", object_fit="contain",
                interactive=False, buttons=["download", "fullscreen"], elem_id="pictures",
            )  # fmt: skip
            status = gr.Markdown("" if services.models else NO_MODELS, label="Status", elem_id="status")
            gr.Markdown(HINT, elem_id="hint")
        with gr.Column(scale=2, min_width=300):
            model = gr.Radio(
                [(f"{name}: {MODELS[name]}" if name in MODELS else name, name) for name in services.models],
                value=FAVOURITE if FAVOURITE in services.models else next(iter(services.models), None),
                label="Model", info="They differ in what they were taught to get right.",
            )  # fmt: skip
            steps = gr.Slider(
                STEPS[0], STEPS[-1], value=STEPS[-1], step=1, label="Steps", buttons=[],
                info="How often the model goes over a picture; fewer is faster.",
            )  # fmt: skip
            count = gr.Slider(1, MAX_COUNT, value=1, step=1, label="Number of pictures", buttons=[])
            with gr.Group():
                seed = gr.Number(0, label="Seed", precision=0, info="The same seed gives the same pictures.")
                randomise = gr.Checkbox(True, label="New random seed each time")

    started = gr.on(
        [paint_button.click, prompt.submit],
        lambda: (gr.Button(visible=False), gr.Button(visible=True)),
        outputs=[paint_button, stop_button], queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    painted = started.then(
        generate,
        inputs=[prompt, model, steps, seed, randomise, count],
        outputs=[pictures, status, seed],
        api_name="generate",
        api_description="Paint pictures of a prompt. Returns the pictures, one line about them, and the first seed.",
        preprocess=False,  # `plan` checks every value, also those of a hand-made request
        show_progress="hidden",
        concurrency_limit=16,  # visitors take turns picture by picture, so that nobody waits for all of another's
    )
    painted.then(
        lambda: (gr.Button(visible=True), gr.Button(visible=False)),
        outputs=[paint_button, stop_button], queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    stop_button.click(stop, queue=False, show_progress="hidden", api_visibility="private")


def summary(jobs: list[Settings], done: int, seconds: float) -> str:
    """The time it took, and the seeds of the pictures that are there."""
    if not done:
        return "Stopped before the first picture."
    stopped = f"Stopped after {done} of {len(jobs)} pictures" if done < len(jobs) else _pictures(done)
    seeds = ", ".join(str(job.seed) for job in jobs[:done])
    return f"{stopped} in {seconds:.1f} s, {'seed' if done == 1 else 'seeds'} {seeds}."


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"
