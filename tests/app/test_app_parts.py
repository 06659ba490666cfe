"""What the pages are made of, one by one: links, history, tables, uploads, curves, evaluations."""

import csv
import json
import re
import shutil
import zipfile
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import gradio as gr
import pytest
import torch
from PIL import Image, ImageDraw

from app.engine.catalogue import Models
from app.engine.runs import Run, find_runs, sharing_pair
from app.engine.services import Services
from app.engine.uploads import FEWEST, previews, take
from app.errors import ForgedError
from app.look.closely import closely
from app.look.enlarge import enlarged, transparent
from app.look.files import data_url, from_data_url, png
from app.look.links import link, settings_of
from app.look.tables import Cell, Row, Table, cache_picture, file_page, page_tables, sheet
from app.look.theme import THEME
from app.pages.generate.again import prompts_of
from app.pages.generate.drawings import COLUMNS, SIDE, drawings, places, things
from app.pages.generate.history import archive, entries, restored
from app.pages.generate.palette import palette
from app.pages.generate.reading import offered
from app.pages.training.curves import curves, terms
from app.pages.training.page import TrainingPage
from app.pages.training.pictures import captions_in
from e2ed2.data.emoji import Concepts, bundled_words, without_style
from e2ed2.errors import UserError
from e2ed2.inference.request import Request
from e2ed2.models.minilm import MiniLM, between
from e2ed2.reading.reader import load_head

RED = Image.new("RGB", (8, 8), "red")
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM()


def test_half_a_character_makes_a_link_too():
    """A hand-made request may have one; no address can."""
    visitor = SimpleNamespace(headers={}, url="http://127.0.0.1/")
    assert link(visitor, prompt="cat \ud800") == "http://127.0.0.1/?prompt=cat+%3F"


def test_an_address_gives_numbers_or_what_no_plan_takes():
    assert settings_of({"prompt": "a b", "steps": "3", "seed": "many", "other": "x"}) == {
        "prompt": "a b",
        "steps": 3,
        "seed": None,
    }


def test_what_the_browser_keeps_comes_back_whole(tmp_path):
    """A picture goes out with its settings, and comes back as the file that it was."""
    requests = [Request("red apple", "l2", 4, seed, "red apple, flat style") for seed in (7, 8)]
    kept = json.loads(entries([(one, RED) for one in requests]))
    assert [restored(one) for one in kept] == requests
    with zipfile.ZipFile(archive(kept, tmp_path)) as file:
        manifest = json.loads(file.read("manifest.json"))
        assert [one["seed"] for one in manifest] == [7, 8]
        picture = Image.open(BytesIO(file.read(manifest[1]["file"])))
    assert (picture.tobytes(), picture.info["seed"]) == (RED.tobytes(), "8")


@pytest.mark.parametrize("given", [{}, None, {"prompt": "x"}, {**asdict(Request("x", "l2")), "steps": "many"}])
def test_settings_that_are_none_are_said(given, tmp_path):
    with pytest.raises(UserError, match="does not say how it was made"):
        restored(given)
    with pytest.raises(ForgedError):
        archive([asdict(Request("x", "l2")) | {"picture": "data:,"}], tmp_path)


def test_a_list_of_prompts():
    assert prompts_of(" cat \n\n dog\r\n") == ["cat", "dog"]
    for bad, said in (("\n", "empty"), ("x\n" * 201, "201 prompts"), ("a\n" + "b" * 201, "Prompt 2 of the list")):
        with pytest.raises(UserError, match=said):
            prompts_of(bad)


def test_a_larger_picture_is_as_sharp_and_without_its_background():
    """The white outside is gone, that inside a ring stays."""
    small = Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(small).ellipse((32, 32, 96, 96), outline="red", width=8)
    large = enlarged(small, 512)
    assert large.size == (512, 512)
    clear = transparent(large)
    assert clear.getpixel((4, 4))[3] == 0
    assert clear.getpixel((256, 256)) == (255, 255, 255, 255)
    assert clear.getpixel((256, 144)) == (255, 0, 0, 255)


def test_the_palette_has_a_drawing_and_a_name_for_each_thing_that_was_learned(tmp_path):
    html = palette(str(tmp_path / "cache"))
    assert html.count("<button") == len(things()) > 1000
    assert 'value="red apple"' in html
    with Image.open(BytesIO(drawings())) as sheet:
        assert sheet.width == COLUMNS * SIDE
        assert sheet.height * COLUMNS // SIDE >= len(things())


def test_every_name_that_a_prompt_may_be_read_as_is_offered_with_its_drawing(tmp_path):
    assert set(load_head().config.names) == set(places())
    html = offered(["jack-o-lantern", "cat"], str(tmp_path / "cache"))
    assert re.findall(r'<button value="([^"]+)"><span class="drawing" style="(--x[^"]+)"></span>\1<', html) == [
        (name, places()[name]) for name in ("jack-o-lantern", "cat")
    ]


def test_a_picture_survives_its_address():
    assert from_data_url(data_url(RED)).tobytes() == RED.tobytes()


def test_a_prompt_is_never_markup():
    table = Table((EVIL,), (Row(EVIL, (Cell(RED, EVIL),)),))
    for page in (file_page(EVIL, EVIL, [table]), closely((EVIL, RED), (EVIL, RED), data_url)):
        assert "<script" not in page
        assert "&lt;script" in page


def test_a_sheet_shows_every_picture_at_its_place():
    blue = Image.new("RGB", (8, 8), "blue")
    image = sheet("title", "note", [Table(("a", "b"), (Row("row", (Cell(RED), Cell(blue))),))], side=64)
    colours = [image.crop((12 + i * 76, 0, 76 + i * 76, image.height)).getcolors(1 << 20) for i in range(2)]
    assert (64 * 64, (255, 0, 0)) in colours[0]
    assert (64 * 64, (0, 0, 255)) in colours[1]


def test_a_picture_that_a_browser_may_be_reading_is_not_written_again(tmp_path):
    file = Path(cache_picture(RED, str(tmp_path)))
    assert file.read_bytes() == png(RED)
    file.write_bytes(b"as it was")
    assert cache_picture(RED.copy(), str(tmp_path)) == str(file)
    assert file.read_bytes() == b"as it was"


def test_near_and_far_prompts(encoder):
    concepts = Concepts({"red apple": "red apple", "fruit": "red apple", "sunflower": "sunflower"}, encoder)
    nearest = concepts.nearest("a shiny apple, noto style", 2)
    assert [one.name for one in nearest] == ["red apple", "sunflower"]
    assert concepts.nearest("red apple", 1)[0].similarity == pytest.approx(1, abs=1e-3)  # kept in half precision
    assert nearest[0].similarity > 0.5 > concepts.nearest("linear algebra", 1)[0].similarity
    assert without_style("Red Apple in openmoji style") == "red apple"


def test_nobody_waits_for_the_bundled_words(encoder, monkeypatch, tmp_path):
    """They come embedded: after a change of words or encoder, run `python -m assets.emoji.embed`."""
    monkeypatch.setenv("E2ED2_DATA", str(tmp_path))
    concepts = Concepts(words := bundled_words(), encoder)
    assert list(tmp_path.iterdir()) == []  # nothing had to be made
    some = list(words)[::700]
    assert torch.allclose(concepts.pooled[::700], encoder(some).pooled, atol=1e-3)


def test_the_ends_between_two_captions_are_the_captions(encoder):
    a, b = encoder(["red apple"]), encoder(["a big sunflower in a vase"])
    assert between(a, b, 0) is a
    assert between(a, b, 1) is b
    middle = between(a, b, 0.5)
    assert middle.pooled.norm().item() == pytest.approx(1, abs=1e-5)
    assert (middle.pooled @ a.pooled.T).item() == pytest.approx((middle.pooled @ b.pooled.T).item(), abs=1e-5)
    assert middle.mask.sum() == b.mask.sum()


@pytest.fixture
def upload(tmp_path):
    """A folder of pictures, as a browser sends it."""
    for number in range(FEWEST):
        RED.save(tmp_path / f"red-apple_{number}.png")
    return [str(path) for path in sorted(tmp_path.glob("*.png"))]


def captions(folder) -> set[str]:
    with open(folder / "metadata.csv", newline="") as file:
        return {row["text"] for row in csv.DictReader(file)}


def test_file_names_are_captions(upload, tmp_path):
    take(upload, tmp_path / "data")
    assert captions(tmp_path / "data") == {"red apple"}
    assert len(list((tmp_path / "data").glob("*.png"))) == FEWEST


def test_a_table_of_captions_goes_before_file_names(upload, tmp_path):
    table = tmp_path / "metadata.csv"
    table.write_text("file_name,text\n" + "".join(f"red-apple_{n}.png,a fruit\n" for n in range(FEWEST)))
    take([*upload, str(table)], tmp_path / "data")
    assert captions(tmp_path / "data") == {"a fruit"}


def test_captions_are_shown_and_what_a_person_wrote_goes_first(upload, tmp_path):
    camera = Path(upload[1]).rename(tmp_path / "IMG_7.png")
    files = [upload[0], str(camera), *upload[2:]]
    rows = previews(files)
    assert [row[:2] for row in rows[:3]] == [("red-apple_0.png", "red apple"), ("IMG_7.png", ""), (ANY, "red apple")]
    assert max(rows[0][2].size) <= 48
    table = {"headers": [], "data": [["", "IMG_7.png", "a pear"], ["", "red-apple_0.png", "a fruit"], ["", "", ""]]}
    take(files, tmp_path / "data", captions_in(table))
    assert captions(tmp_path / "data") == {"red apple", "a pear", "a fruit"}
    with pytest.raises(UserError, match=r"no caption for red-apple_0\.png: .*, or write one in the table"):
        take(files, tmp_path / "again", {"red-apple_0.png": " "})
    assert not (tmp_path / "again").exists()


def test_a_name_that_is_there_twice_has_no_place_in_the_table(upload, tmp_path):
    (tmp_path / "more").mkdir()
    twice = shutil.copy(upload[0], tmp_path / "more")
    with pytest.raises(UserError, match=r"red-apple_0\.png is there twice"):
        previews([*upload, str(twice)])


@pytest.mark.parametrize("table", ["x", 5, {"data": "x"}, [["a", "b"]], {"data": [["", "a.png", 5]]}])
def test_captions_that_are_no_table_are_refused(table):
    with pytest.raises(ForgedError, match="captions must be a table"):
        captions_in(table)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [("file,text\n", "needs the columns"), ("file_name,text\nred-apple_0.png,x\n", "no caption for red-apple_1.png")],
)
def test_captions_that_do_not_fit(upload, tmp_path, rows, sentence):
    table = tmp_path / "metadata.csv"
    table.write_text(rows)
    with pytest.raises(UserError, match=sentence):
        take([*upload, str(table)], tmp_path / "data")


def test_a_number_is_no_caption(upload, tmp_path):
    with pytest.raises(UserError, match=r"no caption for 1\.png: name it after what it shows"):
        take([str(Path(file).rename(tmp_path / f"{n}.png")) for n, file in enumerate(upload, 1)], tmp_path / "data")


@pytest.mark.parametrize("name", ["IMG_{}", "DSC_{}", "PXL_{}", "Screenshot {}", "20240101T120{}", "WA{}"])
def test_a_name_that_a_camera_gave_is_no_caption(upload, tmp_path, name):
    files = [Path(file).rename(tmp_path / f"{name.format(100 + n)}.png") for n, file in enumerate(upload)]
    with pytest.raises(UserError, match="name it after what it shows"):
        take([str(file) for file in files], tmp_path / "data")


def test_a_table_under_another_name_is_said(upload, tmp_path):
    (tmp_path / "captions.csv").write_text("file_name,text\n")
    with pytest.raises(UserError, match=r"captions\.csv is not used: call the table of captions metadata\.csv"):
        take([*upload, str(tmp_path / "captions.csv")], tmp_path / "data")


def test_uploads_are_seen_as_people_see_them(upload, tmp_path):
    """On white, as the bundled drawings are; and a table that Excel saved is read."""
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(upload[0])
    rows = "".join(f"red-apple_{n}.png;a fruit\n" for n in range(FEWEST))
    (tmp_path / "metadata.csv").write_text("file_name;text\n" + rows, encoding="utf-8-sig")
    take([*upload, str(tmp_path / "metadata.csv")], tmp_path / "data")
    assert captions(tmp_path / "data") == {"a fruit"}
    assert Image.open(tmp_path / "data" / "0000.png").getpixel((0, 0)) == (255, 255, 255)


def zipped(file: Path, names: dict[str, Path]) -> str:
    with zipfile.ZipFile(file, "w") as archive:
        for name, picture in names.items():
            archive.write(picture, name)
    return str(file)


def test_a_zip_of_pictures_is_taken_as_its_files_are(upload, tmp_path):
    """Whatever folders they stand in; none of them is written anywhere else."""
    names = {f"../../set/{Path(file).name}": Path(file) for file in upload} | {"__MACOSX/._x.png": Path(upload[0])}
    take([zipped(tmp_path / "all.zip", names)], tmp_path / "data")
    assert captions(tmp_path / "data") == {"red apple"}
    assert len(list((tmp_path / "data").glob("*.png"))) == FEWEST
    assert not (tmp_path.parent / "set").exists()


def test_a_zip_that_cannot_be_used_is_said(upload, tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(UserError, match=r"broken\.zip cannot be read as a zip"):
        take([str(tmp_path / "broken.zip")], tmp_path / "data")
    twice = {f"{folder}/apple.png": Path(upload[0]) for folder in "ab"}
    with pytest.raises(UserError, match=r"apple\.png is there twice"):
        take([zipped(tmp_path / "twice.zip", twice)], tmp_path / "data")
    (tmp_path / "zeros").write_bytes(bytes(51 * 2**20))
    with pytest.raises(UserError, match="holds too much"):
        take([zipped(tmp_path / "bomb.zip", {"a.png": tmp_path / "zeros"})], tmp_path / "data")


def test_uploads_that_are_no_pictures(upload, tmp_path):
    with pytest.raises(UserError, match=f"There are 3 pictures in all: choose {FEWEST} to"):
        take(upload[:3], tmp_path / "data")
    with pytest.raises(UserError, match="There is 1 picture in all"):
        take(upload[:1], tmp_path / "data")
    (tmp_path / "red-apple_0.png").write_text("no picture")
    with pytest.raises(UserError, match=r"red-apple_0\.png cannot be read as a picture"):
        take(upload, tmp_path / "data")


def run(folder, sharing: str, loss: str = "l2", kind: str = "end_to_end") -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"step": 1, "seconds": 2, "l2": 0.5}\n{"step": 2, "sec')
    config = {"objective": kind, "loss": loss, "denoiser": {"sharing": sharing}}
    (folder / "run.json").write_text(json.dumps({"config": config}))


def test_runs_are_found_and_a_line_being_written_is_left_out(tmp_path):
    for name, sharing, loss in (("l2", "shared", "l2"), ("l1", "shared", "l1"), ("independent", "independent", "l2")):
        run(tmp_path / "box" / name, sharing, loss)
    run(tmp_path / "runs" / "own" / "mine", "shared")
    runs = find_runs(Models(tmp_path / "box", tmp_path / "runs"))
    assert list(runs) == ["independent", "l1", "l2", "runs/own/mine"]
    (line,) = runs["runs/own/mine"].lines()
    assert (line.update, line.seconds, line.value("l2")) == (1, 2, 0.5)
    assert sharing_pair(runs) == ["independent", "l2"]


def test_the_curves_open_with_what_can_be_compared(tmp_path):
    """End-to-end trainings that have the value; what is chosen besides and lacks it is named."""
    for name, loss in (("a", "l2"), ("b", "l2"), ("c", "l1")):
        run(tmp_path / "box" / name, "shared", loss)
    run(tmp_path / "box" / "single", "shared", kind="single_step")
    (tmp_path / "box" / "c" / "metrics.jsonl").write_text('{"step": 1, "seconds": 2, "l1": 0.5}')
    for name in ("a", "b", "c", "single"):
        (tmp_path / "box" / name / "denoiser").mkdir()
    with gr.Blocks() as demo:
        page = TrainingPage(Services(tmp_path / "box", tmp_path / "runs"), demo, studies=None, organiser=None)
    opened = page.open_page()
    assert opened[page.chosen].value == ["a", "b"]
    assert opened[page.term].value == "l2"
    assert opened[page.lacking] == ""
    assert page.draw(["a", "c"], "l2", "update")[page.lacking] == "Without l2, and so not drawn: c."


def test_a_note_is_shown_to_others_as_text(tmp_path):
    run = tmp_path / "runs" / "own" / "mine"
    run.mkdir(parents=True)
    (run / "order.json").write_text(json.dumps({"note": "![x](http://a/x.png) <img src=x> & more"}))
    with gr.Blocks() as demo:
        page = TrainingPage(Services(tmp_path, tmp_path / "runs"), demo, studies=None, organiser=None)
    assert page.note_of("mine") == "!&#91;x](http://a/x.png) &lt;img src=x> &amp; more"


def test_the_held_out_loss_is_drawn_beside_the_loss(tmp_path):
    beside = '"terms": {"l2": {"value": 0.5, "weight": 2}}, "loss": 1.0'
    lines = [f'{{"update": 1, "seconds": 60, {beside}}}', f'{{"update": 2, "seconds": 120, {beside}, "held_out": 3.0}}']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    one = Run("one", tmp_path)
    assert terms([one]) == ["l2", "loss", "held_out"]
    drawn = {trace.name: (tuple(trace.x), tuple(trace.y)) for trace in curves([one], "loss", "seconds").data}
    assert drawn["one, held out"] == ((2,), (3,))
    assert drawn["one"] == ((1, 2), (1, 1))
    assert "one, held out" not in {trace.name for trace in curves([one], "l2", "seconds").data}


def test_curves_are_drawn_without_the_weights(tmp_path):
    for name, loss in (("plain", "l2"), ("weighted", "l2:0.25+lpips")):
        run(tmp_path / name, "shared", loss)
    plain, weighted = Run("plain", tmp_path / "plain"), Run("weighted", tmp_path / "weighted")
    assert plain.curve("l2", "update") == [(1, 0.5)]
    assert weighted.curve("l2", "update") == [(1, 2.0)]
    assert weighted.curve("lpips", "update") == []  # it logged none
    figure = curves([plain, weighted], "l2", "seconds")
    assert figure.layout.title.text == "l2: squared error"  # a model may be called l2 too
    title = curves([plain], "loss", "update").layout.title.text
    assert max(map(len, title.split("<br>"))) <= 36  # characters, for which a phone has room
    bold = [trace for trace in figure.data if trace.name]
    assert [(trace.name, tuple(trace.y)) for trace in bold] == [("plain", (0.5,)), ("weighted", (2.0,))]


def test_a_png_is_the_same_bytes_each_time():
    settings = Request("red apple", "l2", 4, 7)
    assert png(RED, settings) == png(RED, settings) != png(RED)


def test_what_stands_in_one_row_is_named_below():
    cells = tuple(Cell(RED) for _ in range(2))
    page = page_tables([Table(("flat", "noto"), (Row("by the artists", cells),))], data_url)
    assert "thead" not in page
    assert page.index("by the artists") < page.index("<div>flat</div>") < page.index("<div>noto</div>")
    timed = Row("one", (Cell(RED, "0.3 s"),) * 2)
    assert "<thead>" in page_tables([Table(("1 step", "2 steps"), (timed,))], data_url)


def test_a_table_scrolls_where_a_phone_has_no_room_for_its_columns():
    def page(count: int, caption: str) -> str:
        columns = tuple(f"seed {number}" for number in range(count))
        return page_tables([Table(columns, (Row("l2", (Cell(RED, caption),) * count),))], data_url)

    assert 'class="scroll" tabindex="0" role="region" aria-label="Pictures"><table' in page(5, "0.3 s")
    assert "scroll" not in page(4, "0.3 s")
    assert "scroll" not in page(6, "")  # without a head its pictures go on in the next row


def luminance(colour: str) -> float:
    """Relative, as WCAG 2 has it, of `#rrggbb`."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("mode", "behind"), [("", "#ffffff"), ("_dark", THEME.neutral_800)])
def test_an_empty_box_is_to_be_seen_in_light_and_dark(mode, behind):
    border = getattr(THEME, getattr(THEME, f"checkbox_border_color{mode}").removeprefix("*"))
    darker, lighter = sorted((luminance(border), luminance(behind)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3
