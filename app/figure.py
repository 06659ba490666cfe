"""The About page's drawing: where the loss looks in single-step and in end-to-end training."""

BOX = '<rect x="{x}" y="{y}" width="92" height="48" rx="8" class="{kind}"/><text x="{tx}" y="{ty}">{text}</text>'
ARROW = '<path d="M{x} {y} h28" marker-end="url(#tip)"/>'


def box(x: int, y: int, text: str, kind: str = "value") -> str:
    return BOX.format(x=x, y=y, text=text, kind=kind, tx=x + 46, ty=y + 29)


def chain(y: int, names: tuple[str, ...], models: tuple[str, ...] = ("model",)) -> str:
    """Boxes from left to right, with arrows between."""
    boxes = [box(10 + 124 * i, y, name, "model" if name in models else "value") for i, name in enumerate(names)]
    arrows = [ARROW.format(x=103 + 124 * i, y=y + 24) for i in range(len(names) - 1)]
    return "".join(boxes + arrows)


FIGURE = f"""<div class="scroll" tabindex="0" role="region" aria-label="Figure">
<svg viewBox="0 0 640 300" role="img" aria-labelledby="figure-title" class="figure">
<title id="figure-title">Above: a real picture with noise goes through the model once, and the loss compares the guess
with the picture. Below: pure noise goes through the model several times, the loss compares only the last picture, and
the correction flows back through all steps.</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="head"/></marker></defs>
<text x="10" y="20" class="label">One step at a time</text>
{chain(34, ("noisy picture", "model", "guess", "loss"))}
<path d="M428 88 v16 H180 v-16" class="back" marker-end="url(#tip)"/>
<text x="304" y="122" class="note">the correction reaches one step</text>
<text x="10" y="168" class="label">End to end</text>
{chain(182, ("pure noise", "model", "model", "picture", "loss"))}
<path d="M552 236 v26 H304 v-26" class="back" marker-end="url(#tip)"/>
<path d="M304 262 H180 v-26" class="back" marker-end="url(#tip)"/>
<text x="366" y="284" class="note">the correction flows back through all steps</text>
</svg></div>"""
