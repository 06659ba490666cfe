"""What the Generate page does when a link opens it, or its model changes."""

from typing import Any

import gradio as gr

from app.look.handlers import Updates
from app.look.links import nearest, settings_of
from app.pages.generate.layout import EXAMPLES, STEPS_INFO
from app.pages.generate.painting import Painting
from e2ed2.data.styles import MIXED, STYLES
from e2ed2.inference.request import MAX_COUNT, STEPS


class Opening(Painting):
    def open_page(self, request: gr.Request) -> Updates:
        """Set the fields that the link names; others stay as they are, since a visitor may be typing already."""
        models, wanted = self.services.models, settings_of(request.query_params)
        model, known = wanted.pop("model", None), models.names()
        if model and model not in known:
            gr.Warning("The link asks for a model that is not here, so another one is chosen.")
        possible = models.steps(str(model)) if model in known else STEPS
        for name, offered in (("steps", possible), ("count", range(1, MAX_COUNT + 1))):
            if name in wanted and wanted[name] not in offered:
                wanted[name] = nearest(wanted[name], offered)
                gr.Warning(f"The link asks for {name} that are not possible here: {wanted[name]} is used.")
        if len(possible) == 1:
            wanted["steps"] = possible[0]
        radio: dict[str, Any] = {"value": model} if model in known else {}
        shown: Updates = {self.model: gr.Radio(choices=models.plain_choices(), **radio)}
        if wanted.get("style", MIXED) not in (MIXED, *STYLES) or wanted.get("read_as", "") not in (
            "",
            *self.services.reader.names,
        ):
            gr.Warning("The link asks for a style or a reading that is not known here, so the usual ones are used.")
            wanted = {name: value for name, value in wanted.items() if name not in ("style", "read_as")}
        fields = {
            **{"prompt": self.prompt, "steps": self.steps, "seed": self.seed, "count": self.count},
            **{"style": self.style, "exactly": self.exactly, "read_as": self.read_as},
        }
        shown |= {fields[name]: value for name, value in wanted.items()}
        if isinstance(steps := wanted.get("steps"), int):
            shown[self.steps] = gr.Slider(value=steps, maximum=max(STEPS[-1], possible[-1]))
        return shown | ({self.randomise: False} if "seed" in wanted else {})

    def suit_model(self, model: str | None, steps: int) -> Updates:
        """Offer only the steps that the model was made for, and examples of what it learned from."""
        if model not in self.services.models.names():
            return {self.steps: gr.skip()}
        readable = self.services.readable(model)
        possible = self.services.models.steps(model)
        captions = self.services.models.captions(model)
        step = steps if steps in possible else possible[-1]
        samples = EXAMPLES if captions is None else captions[: len(EXAMPLES)]
        only = self.services.models.only(model)
        return {
            self.steps: gr.Slider(
                value=step, maximum=max(STEPS[-1], possible[-1]), interactive=not only, info=only or STEPS_INFO
            ),
            self.examples: gr.Dataset(samples=[[text] for text in samples]),
            self.known: gr.Accordion(visible=readable),
            self.style: gr.Radio(visible=readable),
            self.exactly: gr.Checkbox(visible=readable),
        }
