"""Says what a prompt was read as, and offers other likely readings."""

from html import escape

from app.look.words import list_of
from app.pages.generate.drawings import on_the_sheet, places
from e2ed2.data.emoji import split_style
from e2ed2.inference.request import Request
from e2ed2.reading.captions import advice_on
from e2ed2.reading.reader import Reading

OTHERS = 4  # other readings that are offered


def describe_reading(requests: list[Request], reading: Reading | None = None) -> str:
    """One line or two; empty if the visitor wants the model to get the prompt verbatim."""
    captions = list(dict.fromkeys(request.caption for request in requests if request.caption))
    names = [in_bold(captions[0])] if len(captions) == 1 else [f"**{name}**" for name in names_of(captions)]
    styles = ", in several styles" if len({split_style(caption)[1] for caption in captions}) > 1 else ""
    lines = [f"Read as: {list_of(names)}{styles}."] if names else []  # each picture has its caption below it
    if reading and (reading.candidates or not names):
        lines.append(advice_on(reading))
    return " ".join(filter(None, lines))


def names_of(captions: list[str]) -> list[str]:
    """The names in captions, without styles and repetitions."""
    return list(dict.fromkeys(split_style(caption)[0] for caption in captions))


def in_bold(caption: str) -> str:
    """`cat face, noto style` => `**cat face**, noto style`."""
    name, style = split_style(caption)
    return f"**{name}**{caption.removeprefix(name)}" if style else f"**{name}**"


def other_names(requests: list[Request], reading: Reading | None) -> list[str]:
    """Other names that the prompt may mean, the likeliest first."""
    taken = {split_style(request.caption)[0] for request in requests}
    names = {one.name: split_style(reading.caption(name=one.name))[0] for one in reading.candidates} if reading else {}
    return [name for name, read in names.items() if read not in taken][:OTHERS]


def offered(names: list[str], cache_folder: str) -> str:
    """HTML: a button for each name, with a drawing of it."""
    buttons = "".join(
        f'<button value="{escape(name)}"><span class="drawing" style="{places()[name]}"></span>{escape(name)}</button>'
        for name in names
    )
    return on_the_sheet(f"<span>Or is it one of these?</span>{buttons}", cache_folder)
