"""What a training sees of a picture is what a person sees."""

import io
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from e2ed2.data.decode import decode
from e2ed2.errors import UserError


def stored(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(image: Image.Image, place: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    assert image.mode == "RGB"
    return image.getpixel(place)


@pytest.mark.parametrize(
    ("kind", "mode", "colour"),
    [
        ("PNG", "RGBA", (0, 0, 0, 0)),
        ("PNG", "LA", (0, 0)),
        ("PNG", "RGBA", (9, 9, 9, 0)),
        ("WEBP", "RGBA", (9, 9, 9, 0)),
    ],
)
def test_what_is_transparent_is_white(mode, colour, kind):
    assert pixel(decode(stored(Image.new(mode, (4, 4), colour), kind, lossless=True), "a")) == (255, 255, 255)


def test_a_transparent_palette_colour_is_white():
    image = Image.new("P", (4, 4), 0)
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.putpixel((1, 0), 1)
    decoded = decode(stored(image, transparency=0), "a")
    assert (pixel(decoded), pixel(decoded, (1, 0))) == ((255, 255, 255), (200, 10, 20))


def test_half_transparent_is_mixed_with_white():
    assert pixel(decode(stored(Image.new("RGBA", (4, 4), (0, 0, 0, 128))), "a")) == (127, 127, 127)


def test_sixteen_bits_are_scaled():
    ramp = np.array([[0, 257, 32896, 65535]], np.uint16)
    assert [pixel(decode(stored(Image.fromarray(ramp)), "a"), (x, 0))[0] for x in range(4)] == [0, 1, 128, 255]


@pytest.mark.parametrize(("values", "seen"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255])])
def test_floats_are_scaled(values, seen):
    data = stored(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert [pixel(decode(data, "a"), (x, 0))[0] for x in range(3)] == seen


@pytest.mark.parametrize("values", [[-1.0, 0.0], [0.0, 3000.0], [0.0, float("nan")]])
def test_floats_of_no_known_range_are_refused(values):
    data = stored(Image.fromarray(np.array([values], np.float32)), "TIFF")
    with pytest.raises(UserError, match=r"depth\.tif"):
        decode(data, "depth.tif")


@pytest.mark.parametrize(("turn", "corner"), [(1, "red"), (3, "blue"), (6, "red"), (8, "blue")])
def test_a_photograph_stands_upright(turn, corner):
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (0, 0, 20, 20))  # the left half
    exif = Image.Exif()
    exif[0x0112] = turn
    decoded = decode(stored(image, exif=exif), "a")
    assert decoded.size == ((20, 40) if turn in (6, 8) else (40, 20))
    assert pixel(decoded) == Image.new("RGB", (1, 1), corner).getpixel((0, 0))


def test_print_colours_and_one_bit_and_the_first_of_several_frames():
    assert pixel(decode(stored(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=95), "a"))[0] > 200
    assert pixel(decode(stored(Image.new("1", (4, 4), 1)), "a")) == (255, 255, 255)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert pixel(decode(stored(frames[0], "GIF", save_all=True, append_images=frames[1:]), "a")) == (255, 0, 0)


WHOLE = stored(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (WHOLE[: len(WHOLE) // 2], "truncated"),
        (b"<!doctype html><html></html>", "no format that is known"),
        (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 40, "no format that is known"),
    ],
)
def test_what_cannot_be_read_is_named(data, said):
    with pytest.raises(UserError, match=rf"^holiday\.jpg cannot be read as a picture[^\n]*{said}[^\n]*\.$"):
        decode(data, "holiday.jpg")


def test_a_missing_file_and_a_huge_one_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"^a\.png is missing\.$"):
        decode(tmp_path / "a.png", "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"^b\.png is too large"):
        decode(stored(Image.new("RGB", (20, 20))), "b.png")


def test_threads_that_decode_at_once_leave_the_filters_of_warnings_as_they_were():
    data, pause = stored(Image.new("RGB", (8, 8))), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
            before = list(warnings.filters)
            list(pool.map(lambda _: decode(data, "a"), range(300)))
            pool.shutdown()
            assert list(warnings.filters) == before
    finally:
        sys.setswitchinterval(pause)
