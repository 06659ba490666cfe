"""Images of any origin come in whole, alike and bare, or not at all."""

import csv
import hashlib
import json
import os
import struct
import weakref
import zlib

import numpy as np
import pytest
from PIL import Image

from study.errors import StudyError
from study.images.importing import import_images
from study.images.library import Library, encode
from study.images.reading import load_image
from study.images.sources import pairing, sources_from_folders, sources_from_manifest
from study.protocol.spec import StudySpec
from tests.study.conftest import picture


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "data")


def test_images_are_stored_bare_with_the_same_pixels(folders, library):
    arms = {arm: folders / arm for arm in ("secretarmone", "secretarmtwo")}
    imported = import_images(sources_from_folders(arms, folders / "prompts.txt"), library)
    assert imported.arms == tuple(arms)
    assert len(imported.stimuli) == 16
    for stimulus in imported.stimuli:
        data = library.path(stimulus.sha256).read_bytes()
        assert hashlib.sha256(data).hexdigest() == stimulus.sha256
        assert b"secret" not in data
        stored, original = Image.open(library.path(stimulus.sha256)), Image.open(folders / stimulus.arm / stimulus.file)
        assert (stored.format, set(stored.info)) == ("WEBP", {"loop", "background"})
        assert stored.tobytes() == original.convert("RGB").tobytes()


def test_the_spoilt_copies_are_the_same_every_time(folders, library, tmp_path):
    sources = sources_from_folders({a: folders / a for a in ("secretarmone", "secretarmtwo")}, folders / "prompts.txt")
    assert import_images(sources, library) == import_images(sources, Library(tmp_path / "other"))


def test_every_kind_of_image_becomes_the_same_kind(tmp_path):
    for mode in ("L", "P", "RGBA", "LA", "CMYK", "1"):
        file = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        picture(1).convert(mode).save(file)
        assert Image.open(tmp_path / file).mode == mode
        assert load_image(file).mode == "RGB"
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert load_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(1, (64, 32)).save(tmp_path / "turned.jpg", exif=turned)
    assert load_image(tmp_path / "turned.jpg").size == (32, 64)


def test_the_same_pixels_give_the_same_bytes(tmp_path):
    picture(3).save(tmp_path / "a.png")
    picture(3).save(tmp_path / "b.webp", lossless=True)
    assert encode(load_image(tmp_path / "a.png")) == encode(load_image(tmp_path / "b.webp"))


def test_all_problems_are_told_at_once_and_nothing_is_stored(tmp_path, library):
    for arm, sizes in (("a", (64, 64, 64)), ("b", (64, 32, 64))):
        (tmp_path / arm).mkdir()
        for i, size in enumerate(sizes):
            picture(i, (size, size)).save(tmp_path / arm / f"{i}.png")
    (tmp_path / "b" / "2.png").write_bytes(b"no image")
    rows = [{"prompt": f"p{i}", "arm": arm, "file": f"{arm}/{i}.png"} for arm in "ab" for i in range(3)]
    rows += [{"prompt": "p3", "arm": "a", "file": "a/none.png"}]
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(StudyError) as raised:
        import_images(sources_from_manifest(manifest), library)
    told = str(raised.value).splitlines()
    assert len(told) == 4
    for words in (
        "none.png is missing",
        "2.png cannot be read as an image",
        "differ in size",
        "not have the same number",
    ):
        assert any(words in line for line in told)
    assert not library.folder.exists()


def test_folders_are_read_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "a").mkdir()
    for i in (1, 2, 10):
        picture(i).save(tmp_path / "a" / f"image{i}.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "prompts.txt").write_text("one\ntwo\nten\n")
    sources = sources_from_folders({"a": tmp_path / "a"}, tmp_path / "prompts.txt")
    assert [(s.prompt, s.file.name) for s in sources] == [
        ("one", "image1.png"),
        ("two", "image2.png"),
        ("ten", "image10.png"),
    ]


def arms_of(folder, a: list[str], b: list[str]) -> dict:
    for arm, names in (("a", a), ("b", b)):
        (folder / arm).mkdir()
        for i, name in enumerate(names):
            picture(i).save(folder / arm / name)
    (folder / "prompts.txt").write_text("\n".join(f"prompt {i}" for i in range(len(a))))
    return {"a": folder / "a", "b": folder / "b"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["cat.png", "Dog.png"], ["dog.png", "cat.webp"]),
        (["1.png", "2.png"], ["0.png", "1.png"]),
        (["ours_01.png", "ours_02.png"], ["theirs1.png", "theirs2.png"]),
        (["Img2.png", "img1.png"], ["img1.png", "img2.png"]),
    ],
)
def test_folders_are_paired_by_names_or_numbers_and_the_pairing_is_told(tmp_path, a, b):
    sources = sources_from_folders(arms_of(tmp_path, a, b), tmp_path / "prompts.txt")
    (tmp_path / "a" / "._1.png").write_bytes(b"left by a Mac")
    assert [s.file for s in sources_from_folders({"a": tmp_path / "a"}, tmp_path / "prompts.txt")] == [
        s.file for s in sources if s.arm == "a"
    ]
    first = {s.file.stem.casefold()[-1] for s in sources if s.prompt == "prompt 0"}
    assert len(first) == 1 or first == {"0", "1"}
    assert next(iter(pairing(sources))).startswith("prompt 0: a/")


@pytest.mark.parametrize("b", [["bat.png", "cat.png"], ["1.png", "2.png"], ["cat 2.png", "dog 1.png"]])
def test_folders_whose_names_do_not_match_are_refused(tmp_path, b):
    arms = arms_of(tmp_path, ["cat.png", "dog.png"], b)
    with pytest.raises(StudyError, match=r"Prompt 1 would compare .*cat\.png, .* names do not match"):
        sources_from_folders(arms, tmp_path / "prompts.txt")


def test_one_folder_for_two_arms_is_noted(tmp_path, library):
    arms = arms_of(tmp_path, ["1.png", "2.png"], ["1.png", "2.png"])
    images = import_images(sources_from_folders(arms, tmp_path / "prompts.txt"), library)
    spec = StudySpec("toy", images.arms, images.prompts, images.stimuli, images.degraded, images.gold_of)
    (note,) = spec.notes
    assert "a and b have the same picture 2 times" in note


def test_heic_is_named(tmp_path):
    arms = arms_of(tmp_path, ["1.png"], ["1.png"])
    (tmp_path / "a" / "2.HEIC").write_bytes(b"")
    with pytest.raises(StudyError, match=r"HEIC files \(2.HEIC\): save them as PNG"):
        sources_from_folders(arms, tmp_path / "prompts.txt")


def refused(file, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        load_image(file)


def test_files_of_which_raters_would_see_a_part_are_told(tmp_path):
    frames = [picture(i) for i in range(3)]
    for suffix in ("gif", "webp", "png", "tif"):
        frames[0].save(tmp_path / f"moving.{suffix}", save_all=True, append_images=frames[1:])
        refused(tmp_path / f"moving.{suffix}", r"holds 3 images: save the one that raters should see")
    frames[0].save(tmp_path / "camera.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert load_image(tmp_path / "camera.jpg").size == (64, 64)  # a camera's preview is none


def test_images_that_cannot_be_shown_are_named_with_the_reason(tmp_path):
    (tmp_path / "1.heic").write_bytes(b"")
    refused(tmp_path / "1.heic", "is a HEIC file")
    Image.new("1", (8, 8)).save(tmp_path / "small.png")
    for size, words in (((12_000, 12_000), "has 12000x12000 pixels"), ((20_000, 20_000), "has 400,000,000 pixels")):
        large = bytearray((tmp_path / "small.png").read_bytes())
        large[16:24] = struct.pack(">2I", *size)  # what the header says is believed: nothing of it is decoded
        large[29:33] = struct.pack(">I", zlib.crc32(large[12:29]))
        (tmp_path / "large.png").write_bytes(large)
        refused(tmp_path / "large.png", f"{words}: make it 90,000,000 pixels at most")
    Image.new("F", (8, 8)).save(tmp_path / "float.tif")
    refused(tmp_path / "float.tif", "32 bits a channel")


def test_avif_is_read_and_16_bits_lose_the_lower_eight(tmp_path):
    picture(1).save(tmp_path / "1.avif", quality=100)
    assert load_image(tmp_path / "1.avif").size == (64, 64)
    levels = (np.arange(256, dtype=np.uint16).reshape(16, 16)) * 257
    Image.fromarray(levels).save(tmp_path / "grey.png")
    assert Image.open(tmp_path / "grey.png").mode.startswith("I;16")
    assert np.array_equal(np.asarray(load_image(tmp_path / "grey.png"))[..., 0], levels >> 8)


def test_a_stated_quality_is_that_of_all_images(folders, tmp_path):
    arms = {arm: folders / arm for arm in ("secretarmone", "secretarmtwo")}
    sources = sources_from_folders(arms, folders / "prompts.txt")
    library = Library(tmp_path / "data")
    images = import_images(sources, library, quality=90)
    with Image.open(library.path(images.stimuli[0].sha256)) as stored:
        assert stored.tobytes() != load_image(sources[0].file).tobytes()
    with pytest.raises(StudyError, match="choose 1 to 100"):
        import_images(sources, library, quality=0)


def test_no_more_images_are_held_than_there_are_processors(tmp_path, library, monkeypatch):
    held, most = set(), []

    def load(file):
        image = load_image(file)
        held.add(id(image))
        weakref.finalize(image, held.discard, id(image))
        most.append(len(held))
        return image

    monkeypatch.setattr("study.images.importing.load_image", load)
    names = [f"{i}.png" for i in range(30)]
    told = []

    def track(items, total):
        for item in items:
            told.append(total)
            yield item

    import_images(sources_from_folders(arms_of(tmp_path, names, names), tmp_path / "prompts.txt"), library, track=track)
    assert max(most) <= os.cpu_count() + 1
    assert told == [60] * 60 + [30] * 30


@pytest.mark.parametrize(
    "data",
    [
        "Prompt;ARM;File\na\u2028b;x;1.png\n".encode(),
        "prompt\tarm\tfile\na\u2028b\tx\t1.png\n".encode(),
        "prompt,arm,file\r\na\u2028b,x,1.png\r\n".encode("utf-16"),
        b"\xef\xbb\xbf" + "Prompt, arm, file\na\u2028b,x,1.png\n".encode(),
    ],
)
def test_tables_of_office_programs_are_read(tmp_path, data):
    picture(1).save(tmp_path / "1.png")
    (tmp_path / "table.csv").write_bytes(data)
    (source,) = sources_from_manifest(tmp_path / "table.csv")
    assert (source.prompt, source.arm, source.file) == ("a\u2028b", "x", tmp_path / "1.png")


def test_a_prompt_may_hold_what_only_python_takes_for_the_end_of_a_line(tmp_path):
    arms = arms_of(tmp_path, ["1.png", "2.png"], ["1.png", "2.png"])
    (tmp_path / "prompts.txt").write_bytes("one\u2028more\r\ntwo\x0cmore\r\n".encode())
    sources = sources_from_folders(arms, tmp_path / "prompts.txt")
    assert [s.prompt for s in sources if s.arm == "a"] == ["one\u2028more", "two\x0cmore"]


def test_folders_that_do_not_fit_say_so_together(tmp_path, folders):
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    (tmp_path / "c").mkdir()
    for i in range(2):
        (tmp_path / "c" / f"{i}.png").write_bytes(b"no image")
    arms = {"a": folders / "secretarmone", "b": tmp_path / "none", "c": tmp_path / "c"}
    with pytest.raises(StudyError) as raised:
        sources_from_folders(arms, tmp_path / "prompts.txt")
    for words in ("8 images", "not a folder", "0.png cannot be read as an image", "1.png cannot be read"):
        assert words in str(raised.value)
    with pytest.raises(StudyError) as raised:
        sources_from_folders(arms, tmp_path / "c" / "0.png" / "none")
    assert "cannot be read as a text file" in str(raised.value)
    assert "not a folder" in str(raised.value)


def test_manifests_of_e2ed2_and_tables_are_read(tmp_path):
    for arm in "ab":
        (tmp_path / arm).mkdir()
        lines = []
        for seed in range(2):
            file = tmp_path / arm / f"{seed}.png"
            picture(seed).save(file)
            sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
            lines.append(
                {"prompt": "red apple", "model": arm, "steps": 4, "seed": seed, "file": file.name, "sha256": sha256}
            )
        (tmp_path / arm / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    sources = sources_from_folders({"x": tmp_path / "a", "y": tmp_path / "b"})
    assert [(s.prompt, s.arm, s.file.name) for s in sources] == [
        ("red apple", "x", "0.png"),
        ("red apple", "x", "1.png"),
        ("red apple", "y", "0.png"),
        ("red apple", "y", "1.png"),
    ]
    with open(tmp_path / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt", "arm", "file", "category"])
        rows.writerow(["red, red apple", "x", "a/0.png", "fruit"])
    (source,) = sources_from_manifest(tmp_path / "table.csv")
    assert (source.prompt, source.category) == ("red, red apple", "fruit")
    picture(9).save(tmp_path / "a" / "0.png")
    with pytest.raises(StudyError, match="hash differs"):
        sources_from_folders({"x": tmp_path / "a", "y": tmp_path / "b"})


@pytest.mark.parametrize("content", ["", "[1]\n", "{\n", '{"prompt": "x"}\n'])
def test_a_broken_manifest_says_so(tmp_path, content):
    (tmp_path / "m.jsonl").write_text(content)
    with pytest.raises(StudyError, match=r"m\.jsonl"):
        sources_from_manifest(tmp_path / "m.jsonl")
