"""The About page: the method in one figure and a few words, its weaknesses, and whose work it builds on."""

import json
from html import escape

import gradio as gr

from app.engine.services import Services
from app.pages.about.drawing import FIGURE
from e2ed2.assets import EMOJI_LICENSES

METHOD = """# What this is
A diffusion model turns noise into a picture in small steps. Usually it practises **one step at a time**: it gets a real
picture with noise on it and learns to take the noise away. When it is used, it must live with what its own
earlier steps left, which it never practised, and its mistakes add up.

**End-to-end training**, the idea of
[E2ED²](https://arxiv.org/abs/2412.21044), practises what sampling does: start from pure noise, take all of the few
steps, compare *only the finished picture* with the real one, and send the correction back through every step. Since
there is a finished picture to look at, one can also ask how alike it looks to a viewer, or whether a critic takes it
for real. The models here differ in just that.

This is an open implementation. Only the paper's abstract and figure captions were at hand, so much is our own choice,
and no number here is the paper's. Two things are ours: a coarse path that sketches the whole picture at almost no cost,
and the *energy* loss, which asks for variety.
"""
WEAK = """## Where it is weak
- The models are small, learned in minutes on a GPU (*energy* for 17 more on an ordinary processor), and know about a
  thousand things that have an emoji, at 128×128 pixels. Anything else comes out as the nearest of these, or as mud.
- A caption without a style has six right answers. Squared error is smallest at their average, so those models give a
  blur and ignore the noise. *Energy* is the remedy among the losses here.
- The same prompt and seed give the same bytes on the same machine, not on every machine.
"""
LICENCES = """## Whose work this is
The program is free under Apache 2.0. The models learned from drawings by these artists, who are not to blame for what
comes out:
"""


class AboutPage:
    def __init__(self, services: Services, demo: gr.Blocks):
        gr.Markdown(METHOD)
        gr.HTML(FIGURE, elem_id="figure", label="Single-step and end-to-end training")
        gr.Markdown(WEAK)
        gr.Markdown(LICENCES + "\n".join(credit(*one) for one in sets().items()))


def sets() -> dict[str, dict]:
    return json.loads(EMOJI_LICENSES.read_text())


def credit(style: str, one: dict) -> str:
    """A set's credit, as a line of Markdown."""
    author, licence = one["author"], one["license"]
    return (
        f"- *{escape(style)}*: [{escape(one['set'])}]({author['url']}) by {escape(author['name'])}, "
        f"[{escape(licence['title'])}]({licence['url']})"
    )
