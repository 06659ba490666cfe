"""The page that makes a study."""

from collections.abc import Iterator
from itertools import chain, count
from typing import Any

import gradio as gr

from app.admin import acts
from app.admin.changing import MODES, reporting_mistakes
from app.admin.request import ARCHIVE, FOLDER, OURS, Pictures, create, summary, whole_number
from app.studies.ready import Studies
from e2ed2.errors import UserError
from e2ed2.inference.request import STEPS
from study.errors import StudyError
from study.protocol.choices import Plan
from study.protocol.parts import DEFAULT_QUESTIONS, CheckShares, Exclusions, Stopping
from study.store.store import Store
from study.store.studies import list_studies

PROMPTS = "red apple\nsunflower\ncat face\nrocket\na castle on a hill"
LAYOUT = (
    "One folder for each arm, with its pictures; the prompts above are for them in the order of their file names. Or "
    "leave the prompts empty, and put a `prompts.txt` beside the folders, or a `manifest.csv` with the columns prompt, "
    "arm, file and perhaps category."
)
FRESH = 30  # prompts in a before-and-after study
FRESH_RATERS = 10  # for each pair
CHECKS = {
    "identical": "Same picture twice",
    "repeat": "An earlier pair again, sides exchanged",
    "gold": "A picture against a degraded copy of it",
    "same_arm": "Two pictures of one arm",
}


def build_new(studies: Studies, page: gr.Blocks, tabs: gr.Tabs) -> gr.State:
    """The state that holds the name of the latest study made here.

    An address with `before` and `after` opens the form filled in for a study of these two models.
    """
    created = gr.State("")
    fields: dict[str, Any] = {}
    with gr.Row():
        fields["name"] = gr.Textbox(
            label="Name", info="Letters, digits, _ and -. Raters never see it.", max_lines=1, elem_id="name"
        )
        fields["title"] = gr.Textbox(Plan.title, label="Title", info="What raters read first.", max_lines=1)
    _pictures(fields, studies)
    _plan(fields)
    with gr.Row():
        button = gr.Button("Create the study", variant="primary")
        power = gr.Button("What will it find?")
    status = gr.Markdown(elem_id="made", label="Status")

    def make(values: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
        given = {name: values[field] for name, field in fields.items()}
        try:
            for step in create(studies, (given["name"] or "").strip(), _chosen_pictures(given), _chosen_plan(given)):
                if isinstance(step, str):
                    yield step, gr.skip()
                else:
                    yield summary(step), f"{step.name} {step.version}"
        except (StudyError, UserError) as error:
            gr.Warning(str(error).splitlines()[0])
            yield "\n".join(f"- {line}" for line in str(error).splitlines()), gr.skip()

    def predict_power(values: dict[Any, Any]) -> str:
        given = {name: values[field] for name, field in fields.items()}
        return power_of(given)

    def opened(request: gr.Request) -> dict[Any, Any]:
        models = studies.all_models()
        given: dict[Any, Any] = {fields["models"]: gr.CheckboxGroup(models)}
        before, after = (request.query_params.get(name, "") for name in ("before", "after"))
        if not {before, after} <= set(models):
            return given
        filled = before_after(studies, before, after)
        return {fields[name]: value for name, value in filled.items()} | {
            fields["models"]: gr.CheckboxGroup(models, value=[before, after]),
            tabs: gr.Tabs(selected="new"),
        }

    page.load(opened, None, [*fields.values(), tabs], show_progress="hidden", api_visibility="private")
    power.click(
        reporting_mistakes(predict_power),
        {*fields.values()},
        status,
        api_visibility="private",
        show_progress_on=power,
        concurrency_limit=1,
    )
    button.click(
        make,
        {*fields.values()},
        [status, created],
        concurrency_limit=1,
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=button,
    )
    return created


def _pictures(fields: dict[str, Any], studies: Studies) -> None:
    fields["origin"] = origin = gr.Radio([OURS, ARCHIVE, FOLDER], value=OURS, label="Pictures")
    fields["prompts"] = gr.Textbox(PROMPTS, label="Prompts", info="One a line.", lines=5, elem_id="prompts")
    with gr.Group() as ours:
        fields["models"] = gr.CheckboxGroup(list(studies.models), label="Models", value=list(studies.usual_models))
        fields["steps"] = gr.CheckboxGroup(
            list(STEPS), label="Steps", value=[STEPS[-1]], info="Each model with each number of steps is an arm."
        )
        with gr.Row():
            fields["copies"] = gr.Number(
                1, label="Pictures for each prompt and arm", precision=0, info="Of seeds that follow."
            )
            fields["seed"] = gr.Number(0, label="Seed", precision=0, info="The same for every arm.")
    with gr.Group(visible=False) as archive:
        fields["archive"] = gr.File(label="Zip file", file_types=[".zip"], type="filepath")
    with gr.Group(visible=False) as folder:
        fields["folder"] = gr.Textbox(label="Path of the folder", max_lines=1)
    hint = gr.Markdown(LAYOUT, visible=False)

    def choose(value: str) -> tuple[Any, ...]:
        prompts = gr.Textbox(value=PROMPTS if value == OURS else "")
        return (
            prompts,
            *(gr.update(visible=value == name) for name in (OURS, ARCHIVE, FOLDER)),
            gr.Markdown(visible=value != OURS),
        )

    origin.change(
        choose,
        origin,
        [fields["prompts"], ours, archive, folder, hint],
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )


def _plan(fields: dict[str, Any]) -> None:
    usual = Plan()
    with gr.Row():
        fields["raters_per_pair"] = gr.Number(
            usual.raters_per_pair, label="Raters for each pair", precision=0, info="Who answer on each of them."
        )
        fields["pairs_per_rater"] = gr.Number(
            usual.pairs_per_rater, label="Pairs for each rater", precision=0, info="At most; a few checks come on top."
        )
    fields["questions"] = gr.Textbox(
        acts.as_text(DEFAULT_QUESTIONS),
        label="Questions",
        lines=3,
        info="One a line: a short key for the tables, the right picture of a gold pair (intact, or spoilt where the "
        "worse one is asked for, or none), =, and what raters read.",
    )
    fields["mode"] = gr.Radio(
        MODES,
        value=usual.mode,
        label="How the questions are asked",
    )
    with gr.Accordion("Checks, exclusions, stopping, crowd platforms", open=False):
        gr.Markdown("Pairs that check the raters, as shares of the comparisons:")
        with gr.Row():
            for name, label in CHECKS.items():
                fields[name] = gr.Slider(0, 0.5, getattr(usual.checks, name), step=0.01, label=label)
        gr.Markdown("The report leaves out the answers of raters who …")
        with gr.Row():
            fields["gold_rate"] = gr.Slider(0, 1, 0.5, step=0.05, label="… choose the good picture less often than")
            fields["median_ms"] = gr.Number(500, label="… need less time an answer, on half of the screens, than (ms)")
        with gr.Row():
            fields["rule"] = gr.Radio(
                [("When every pair has its raters", "quota"), ("On the evidence (two arms)", "e-value")],
                value="quota",
                label="Stop",
            )
            fields["open_cap"] = gr.Number(0, label="Raters through the open link", info="0: no limit.")
            fields["minutes"] = gr.Number(usual.abandoned_after_minutes, label="A rater is gone after (minutes)")
        with gr.Row():
            fields["contact"] = gr.Textbox(label="Contact", info="Whom raters may write to.", max_lines=1)
            fields["completion_url"] = gr.Textbox(
                label="Completion address", info="Where a crowd platform wants its raters back; https://…", max_lines=1
            )


def before_after(studies: Studies, before: str, after: str) -> dict[str, Any]:
    """Form values for a study of a model before and after a training.

    Its prompts are things in styles in which no training saw them, and which no study has asked about yet.
    """
    from e2ed2.evaluation.emoji import prompts_of  # takes seconds to import: the first page need not wait for it

    used = {prompt.text for study in list_studies(studies.store.database) for prompt in study.spec.prompts}
    fresh = [prompt.text for prompt in prompts_of("combo", None) if prompt.text not in used]
    name = f"{after.rpartition('/')[2]}-before-after"
    return {
        "name": free_name(studies.store, name),
        "prompts": "\n".join(dict.fromkeys(fresh[:FRESH])),
        "raters_per_pair": FRESH_RATERS,
        "pairs_per_rater": FRESH,
    }


def free_name(store: Store, stem: str) -> str:
    """The stem, with a number appended if a study has that name already."""
    taken = {study.name for study in list_studies(store.database)}
    return next(name for name in chain([stem], (f"{stem}-{n}" for n in count(2))) if name not in taken)


def power_of(given: dict[str, Any]) -> str:
    """The chance that a study of our models detects a win rate of 60%, computed before anything is made."""
    if given["origin"] != OURS:
        raise StudyError("Of pictures of your own this can be told when they are there: `python -m study simulate`.")
    prompts = [line for line in (given["prompts"] or "").splitlines() if line.strip()]
    return acts.power(
        len(given["models"]) * len(given["steps"]),
        len(prompts),
        whole_number(given["copies"], "Pictures for each prompt"),
        whole_number(given["raters_per_pair"], "Raters for each pair"),
        whole_number(given["pairs_per_rater"], "Pairs for each rater"),
    )


def _chosen_pictures(given: dict[str, Any]) -> Pictures:
    return Pictures(
        given["origin"],
        given["prompts"] or "",
        given["models"],
        [int(s) for s in given["steps"]],
        whole_number(given["copies"], "Pictures for each prompt"),
        whole_number(given["seed"], "The seed"),
        given["archive"],
        given["folder"] or "",
    )


def _chosen_plan(given: dict[str, Any]) -> Plan:
    questions = tuple(line.strip() for line in (given["questions"] or "").splitlines() if line.strip())
    return Plan(
        seed=whole_number(given["seed"], "The seed"),
        raters_per_pair=whole_number(given["raters_per_pair"], "Raters for each pair"),
        pairs_per_rater=whole_number(given["pairs_per_rater"], "Pairs for each rater"),
        mode=given["mode"],
        question=questions,
        title=(given["title"] or "").strip() or Plan.title,
        contact=(given["contact"] or "").strip(),
        completion_url=(given["completion_url"] or "").strip(),
        open_cap=whole_number(given["open_cap"] or 0, "Raters through the open link") or None,
        abandoned_after_minutes=whole_number(given["minutes"], "The minutes"),
        checks=CheckShares(**{name: given[name] for name in CHECKS}),
        exclusions=Exclusions(given["gold_rate"] or None, min_median_pace_ms=given["median_ms"] or None),
        stopping=Stopping(given["rule"]),
    )
