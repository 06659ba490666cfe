"""The About page's drawing: where the loss applies in single-step and in end-to-end training; vertical on a phone."""

WIDTH, HEIGHT, GAP = 92, 48, 32  # size of a box, and the gap to the next one
STEP, TALL_STEP = WIDTH + GAP, HEIGHT + GAP
SINGLE = ("noisy picture", "model", "guess", "loss")
END_TO_END = ("pure noise", "model", "model", "picture", "loss")
TITLE = """Single-step: a real picture with noise goes through the model once, and the loss compares the guess with the
picture. End to end: pure noise goes through the model several times, the loss compares only the last picture, and the
correction flows back through all steps."""


def box(x: int, y: int, text: str) -> str:
    kind = "model" if text == "model" else "value"
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" class="{kind}"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + 29}">{text}</text>'
    )


def arrow(path: str, kind: str = "") -> str:
    return f'<path d="{path}" class="{kind}" marker-end="url(#tip)"/>'


def across(y: int, names: tuple[str, ...]) -> str:
    """Boxes from left to right, with arrows between."""
    boxes = [box(10 + STEP * i, y, name) for i, name in enumerate(names)]
    arrows = [arrow(f"M{11 + WIDTH + STEP * i} {y + HEIGHT // 2} h{GAP - 4}") for i in range(len(names) - 1)]
    return "".join(boxes + arrows)


def down(x: int, names: tuple[str, ...]) -> str:
    """Boxes from top to bottom, with arrows between."""
    boxes = [box(x, 34 + TALL_STEP * i, name) for i, name in enumerate(names)]
    arrows = [arrow(f"M{x + WIDTH // 2} {35 + HEIGHT + TALL_STEP * i} v{GAP - 4}") for i in range(len(names) - 1)]
    return "".join(boxes + arrows)


def back_up(x: int, row: int, to: int) -> str:
    """An arrow on the right of a column, from one row to a higher one."""
    start, end = (34 + TALL_STEP * i + HEIGHT // 2 for i in (row, to))
    return arrow(f"M{x + WIDTH} {start} h20 V{end} h-18", "back")


def drawing(kind: str, size: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {size}" role="img" aria-labelledby="figure-{kind}" class="figure {kind}">'
        f'<title id="figure-{kind}">{TITLE}</title>{content}</svg>'
    )


WIDE = f"""<text x="10" y="20" class="label">One step at a time</text>
{across(34, SINGLE)}
{arrow("M428 88 v16 H180 v-16", "back")}
<text x="304" y="122">the correction reaches one step</text>
<text x="10" y="168" class="label">End to end</text>
{across(182, END_TO_END)}
{arrow("M552 236 v26 H304 v-26", "back")}
{arrow("M304 262 H180 v-26", "back")}
<text x="366" y="284">the correction flows back through all steps</text>"""
TALL = f"""<text x="10" y="20" class="label">One step at a time</text>
{down(24, SINGLE)}
{back_up(24, 3, 1)}
<text x="80" y="344">the correction</text><text x="80" y="362">reaches one step</text>
<text x="196" y="20" class="label">End to end</text>
{down(196, END_TO_END)}
{back_up(196, 4, 2)}
{back_up(196, 2, 1)}
<text x="250" y="424">the correction flows</text><text x="250" y="442">back through all steps</text>"""
TIP = """<svg width="0" height="0" aria-hidden="true" class="figure tip"><defs>
<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" class="head"/></marker></defs></svg>"""
FIGURE = TIP + drawing("wide", "640 300", WIDE) + drawing("tall", "340 456", TALL)
