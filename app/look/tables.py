"""Tables of pictures: as part of a page, as a standalone page, or as one picture."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from gradio.processing_utils import save_file_to_cache
from PIL import Image, ImageDraw, ImageFont

from app.look.files import data_url, png, write

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; table-layout: fixed; margin-bottom: 1rem; }}
td {{ text-align: center; padding: .25rem; font-size: .85rem; }}
th {{ text-align: left; padding: .75rem .25rem .25rem; }} thead th {{ text-align: center; font-weight: normal; }}
img {{ width: 100%; max-width: 12rem; height: auto; }}
</style><h1>{title}</h1><p>{note}</p>{tables}</html>
"""
FIT = 4  # columns beside each other on a phone
# `element` and `trigger` are Gradio's.
CHOOSE = """element.addEventListener('click', e => {
    const chosen = e.target.closest('button');
    if (!chosen) return;
    chosen.ariaPressed = 'true';
    trigger('select', { name: chosen.value });
})"""
MARK = """(...names) => document.querySelectorAll('.cells button').forEach((one) => {
    one.ariaPressed = String(names.includes(one.value));
})"""


@dataclass(frozen=True)
class Cell:
    picture: Image.Image | None  # None if it is not finished yet, or if there is none
    caption: str = ""


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    turned: bool = False  # on a wide screen its rows are shown as columns
    choosable: bool = False  # on our pages its pictures are buttons: see `CHOOSE` and `MARK`


Source = Callable[[Image.Image], str]


def cached_file(file: Path, cache: str) -> str:
    return f"gradio_api/file={save_file_to_cache(file, cache)}"


def cached(cache: str) -> Source:
    """A source for our own pages: pictures are files in Gradio's cache."""
    return lambda picture: f"gradio_api/file={cache_picture(picture, cache)}"


def cache_picture(picture: Image.Image, cache: str) -> str:
    """The path of the picture in Gradio's cache, where it is written once, atomically.

    Gradio would write a picture again at every update, while a browser may be reading the file.
    """
    with TemporaryDirectory() as folder:
        return save_file_to_cache(write(Path(folder), png(picture), "picture.png"), cache)


def page_tables(tables: Sequence[Table], source: Source) -> str:
    return "".join(_table(one, source) for one in tables)


def file_page(title: str, note: str, tables: Sequence[Table]) -> str:
    """A self-contained HTML page."""
    still = [replace(one, choosable=False) for one in tables]
    return PAGE.format(title=escape(title), note=escape(note), tables=page_tables(still, data_url))


def _table(table: Table, source: Source) -> str:
    """A table with a head and more columns than a phone has room for scrolls sideways."""
    rows, head = table.rows, "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    if (
        len(rows) == 1 and not table.turned and not any(cell.caption for cell in rows[0].cells)
    ):  # the columns' names go below the pictures
        named = zip(rows[0].cells, table.columns, strict=True)
        rows, head = (replace(rows[0], cells=tuple(replace(cell, caption=column) for cell, column in named)),), ""
    body = "".join(_row(row, table, source) for row in rows)
    turned, size = " turned" if table.turned else "", f"--cells: {len(table.columns)}; --rows: {len(table.rows)}"
    thead = f"<thead><tr>{head}</tr></thead>" if head else ""
    html = f'<table class="cells{turned}" style="{size}">{thead}{body}</table>'
    return scrolling(html, "Pictures") if head and len(table.columns) > FIT else html


def scrolling(html: str, name: str) -> str:
    """A box that is never wider than the page and scrolls sideways on its own, with keys too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">{html}</div>'


def _row(row: Row, table: Table, source: Source) -> str:
    cells = "".join(
        f"<td>{_picture(cell, f'{row.name}, {column}', table.choosable, source)}<div>{escape(cell.caption)}</div></td>"
        for cell, column in zip(row.cells, table.columns, strict=True)
    )
    name = f'<tr><th colspan="{len(table.columns)}" scope="rowgroup">{escape(row.name)}</th></tr>'
    return f"<tbody>{name}<tr>{cells}</tr></tbody>"


def _picture(cell: Cell, name: str, choosable: bool, source: Source) -> str:
    if cell.picture is None:
        return '<div class="empty"></div>'
    picture = f'<img src="{source(cell.picture)}" alt="{escape(name)}" width="128" height="128">'
    return f'<button value="{escape(name)}" aria-pressed="false">{picture}</button>' if choosable else picture


def sheet(title: str, note: str, tables: Sequence[Table], side: int = 128) -> Image.Image:
    """All tables as one picture, with their labels."""
    gap, line = 12, 22
    widest = max(len(table.columns) for table in tables)
    height = 4 * line + sum(line + len(table.rows) * (side + 2 * line + gap) + gap for table in tables)
    image = Image.new("RGB", (max(widest * (side + gap) + gap, 640), height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    draw.text((gap, gap), title, "black", ImageFont.load_default(18))
    draw.text((gap, gap + line + 4), note, "#444", font)
    top = 3 * line
    for table in tables:
        middles = [gap + i * (side + gap) + side / 2 for i in range(len(table.columns))]
        for middle, column in zip(middles, table.columns, strict=True):
            draw.text((middle, top), column, "#444", font, anchor="mt")
        top += line
        for row in table.rows:
            draw.text((gap, top), row.name, "black", font)
            for middle, cell in zip(middles, row.cells, strict=True):
                if cell.picture:
                    image.paste(
                        cell.picture.resize((side, side), Image.Resampling.BICUBIC),
                        (int(middle - side / 2), top + line),
                    )
                draw.text((middle, top + line + side + 4), cell.caption, "#444", font, anchor="mt")
            top += side + 2 * line + gap
        top += gap
    return image
