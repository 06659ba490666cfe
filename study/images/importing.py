"""Images of any origin, stored so that nothing tells the arms apart but what they show."""

import codecs
import csv
import hashlib
import io
import json
import random
import re
import struct
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms, ImageFilter, ImageOps

from study.errors import StudyError
from study.images.library import Library, encode
from study.protocol.parts import DEGRADED, GOLDEN, Prompt, Stimulus

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
NOT_READ = (".heic", ".heif")  # named, so that nobody wonders where they are
MAX_PROBLEMS = 40  # listed; more are counted


@dataclass(frozen=True)
class Source:
    """One line of a manifest."""

    prompt: str
    arm: str
    file: Path
    category: str = ""


@dataclass(frozen=True)
class GoldSource:
    """An own gold pair: everybody who looks takes `better` for the better picture of the prompt."""

    prompt: str
    better: Path
    worse: Path


@dataclass(frozen=True)
class Imported:
    arms: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    stimuli: tuple[Stimulus, ...]
    degraded: tuple[Stimulus, ...]  # one for each prompt, or the worse pictures of own gold pairs
    gold_of: tuple[str, ...]  # sha256 of the intact image of each
    golden: tuple[Stimulus, ...]  # the better pictures of own gold pairs


def import_images(sources: Sequence[Source], library: Library, gold: Sequence[GoldSource] = ()) -> Imported:
    """Stores every image as a PNG without metadata; nothing is stored where anything is wrong.

    Raises:
        StudyError: all problems at once, one a line.
    """
    problems, pngs = list(_counting_problems(sources)), {}
    sizes: dict[str, dict[tuple[int, int], Path]] = {}
    for shown_with, file in _files(sources, gold):
        try:
            image = load_image(file)
            sizes.setdefault(shown_with, {}).setdefault(image.size, file)
            pngs[file] = encode(image)
        except StudyError as error:
            problems.append(str(error))
    for shown_with, found in sizes.items():
        if len(found) > 1:
            listed = ", ".join(f"{file} {w}x{h}" for (w, h), file in found.items())
            problems.append(f"The images of {shown_with} differ in size ({listed}): make them equal.")
    if problems:
        more = [f"... and {len(problems) - MAX_PROBLEMS} more problems."] if len(problems) > MAX_PROBLEMS else []
        raise StudyError("\n".join(problems[:MAX_PROBLEMS] + more))

    def store(prompt: str, arm: str, file: Path) -> Stimulus:
        return Stimulus(prompt, arm, file.name, library.add(pngs[file]))

    stimuli = tuple(store(source.prompt, source.arm, source.file) for source in sources)
    arms = tuple(dict.fromkeys(source.arm for source in sources))
    prompts = {source.prompt: Prompt(source.prompt, source.category) for source in reversed(sources)}
    ordered = tuple(prompts[text] for text in dict.fromkeys(source.prompt for source in sources))
    if not gold:
        return Imported(arms, ordered, stimuli, *_spoil(arms, ordered, stimuli, library), golden=())
    worse = tuple(store(pair.prompt, DEGRADED, pair.worse) for pair in gold)
    golden = tuple(store(pair.prompt, GOLDEN, pair.better) for pair in gold)
    return Imported(arms, ordered, stimuli, worse, tuple(s.sha256 for s in golden), golden)


def _files(sources: Sequence[Source], gold: Sequence[GoldSource]) -> Iterable[tuple[str, Path]]:
    """Every file, with what it is shown for: images that are shown together have one size."""
    yield from ((f"prompt {source.prompt!r}", source.file) for source in sources)
    for number, pair in enumerate(gold, 1):
        yield from ((f"gold pair {number}", file) for file in (pair.better, pair.worse))


def load_image(file: Path) -> Image.Image:
    """RGB, 8 bit, sRGB, upright; what was transparent is white.

    Raises:
        StudyError: no such file, or no image.
    """
    if not file.is_file():
        raise StudyError(f"{file} is missing.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as opened:
                image = _upright(opened)
                profile = opened.info.get("icc_profile")
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        elif image.mode.startswith(("I", "F")):
            raise StudyError(f"{file} has more than 8 bits a channel: convert it first.")
        if profile and image.mode in ("RGB", "CMYK"):
            srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
            return ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB") or image
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError, ImageCms.PyCMSError):
        raise StudyError(f"{file} cannot be read as an image.") from None


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, OSError, struct.error):  # pixels are worth more than broken EXIF data
        return image.copy()


def _spoil(
    arms: tuple[str, ...], prompts: tuple[Prompt, ...], stimuli: tuple[Stimulus, ...], library: Library
) -> tuple[tuple[Stimulus, ...], tuple[str, ...]]:
    """For each prompt one image made unrecognisable, the arms taking turns."""
    degraded, intact = [], []
    for i, prompt in enumerate(prompts):
        arm = arms[i % len(arms)]
        good = next(s for s in stimuli if (s.prompt, s.arm) == (prompt.text, arm))
        image = load_image(library.path(good.sha256))
        small = image.resize((4, 4), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
        noise = Image.frombytes("RGB", image.size, random.Random(i).randbytes(3 * image.width * image.height))
        bad = Image.blend(small.filter(ImageFilter.BoxBlur(1)), noise, 0.4)
        degraded.append(Stimulus(prompt.text, DEGRADED, "", library.add(encode(bad))))
        intact.append(good.sha256)
    return tuple(degraded), tuple(intact)


def _counting_problems(sources: Sequence[Source]) -> Iterable[str]:
    arms = list(dict.fromkeys(source.arm for source in sources))
    counts: dict[str, dict[str, int]] = {}
    for source in sources:
        of_prompt = counts.setdefault(source.prompt, dict.fromkeys(arms, 0))
        of_prompt[source.arm] += 1
    if len(arms) < 2:
        yield f"A study compares at least two arms; found {', '.join(arms) or 'none'}."
    for prompt, of_prompt in counts.items():
        if len(set(of_prompt.values())) > 1:
            listed = ", ".join(f"{arm} {count}" for arm, count in of_prompt.items())
            yield f"Prompt {prompt!r} has not equally many images of each arm: {listed}."


def sources_from_folders(arms: Mapping[str, Path], prompts: Path | None = None) -> list[Source]:
    """One folder an arm: images in file-name order against a file of prompts, or each folder's manifest.jsonl.

    Raises:
        StudyError: all problems at once; files of one prompt whose names do not match are one.
    """
    problems, sources, lines = [], [], None
    found: dict[str, list[Path]] = {}
    try:
        lines = _prompt_lines(prompts) if prompts else None
    except StudyError as error:
        problems.append(str(error))
    for arm, folder in arms.items():
        if not folder.is_dir():
            problems.append(f"{folder} (arm {arm!r}) is not a folder.")
        elif prompts is None:
            try:
                sources += _sources_from_manifest(folder / "manifest.jsonl", arm)
            except StudyError as error:
                problems.append(str(error))
        elif lines:
            files = found[arm] = sorted(filter(_is_image, folder.iterdir()), key=_natural)
            heic = [file.name for file in folder.iterdir() if file.suffix.lower() in NOT_READ]
            if heic:
                problems.append(f"{folder} (arm {arm!r}) has HEIC files ({', '.join(sorted(heic))}): save them as PNG.")
            if len(files) != len(lines):
                problems.append(f"{folder} (arm {arm!r}) has {len(files)} images, {prompts} has {len(lines)} prompts.")
            sources += [Source(line, arm, file) for line, file in zip(lines, files, strict=False)]
    if len({len(files) for files in found.values()}) == 1:
        problems += _unmatched(found)
    if problems:
        raise StudyError("\n".join((*problems, *_unreadable(sources))))
    return sources


def pairing(sources: Sequence[Source]) -> Iterable[str]:
    """Which files are compared, a line for each prompt."""
    files: dict[str, list[str]] = {}
    for source in sources:
        files.setdefault(source.prompt, []).append(f"{source.arm}/{source.file.name}")
    return (f"{prompt}: {', '.join(shown)}" for prompt, shown in files.items())


def _is_image(file: Path) -> bool:
    """Hidden files are none, such as the ._1.png that a Mac leaves beside 1.png."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _unmatched(found: Mapping[str, Sequence[Path]]) -> Iterable[str]:
    """Files that would be compared by their place alone, though their names or their numbers differ."""
    by_place = all(file.stem.isdecimal() for files in found.values() for file in files)
    for place, files in enumerate(zip(*found.values(), strict=True), 1):
        names = {file.stem.casefold() for file in files}
        numbers = {tuple(map(int, re.findall(r"[0-9]+", file.stem))) for file in files}
        if not by_place and len(names) > 1 and (len(numbers) > 1 or () in numbers):
            yield (
                f"Prompt {place} would compare {', '.join(map(str, files))}, whose names do not match: name the files "
                "of one prompt alike, or give --manifest."
            )


def sources_from_manifest(manifest: Path) -> list[Source]:
    """A CSV or JSONL file with prompt, arm, file and perhaps category; files are relative to it."""
    return _sources_from_manifest(manifest)


def _unreadable(sources: Iterable[Source]) -> Iterable[str]:
    for source in sources:
        try:
            load_image(source.file)
        except StudyError as error:
            yield str(error)


def _natural(file: Path) -> list[tuple[int, str]]:
    """2.png before 10.png."""
    parts = re.split(r"([0-9]+)", file.name.casefold())
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _prompt_lines(file: Path) -> list[str]:
    lines = [line.strip() for line in _lines(_read(file))]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not all(lines):
        raise StudyError(f"{file} must hold one prompt a line, and no empty line between them.")
    return lines


def _lines(text: str) -> list[str]:
    """At the ends of lines only: what else Python takes for one (U+2028, form feeds) may stand in a prompt."""
    return re.split("\r\n|\r|\n", text)


def _read(file: Path) -> str:
    try:
        data = file.read_bytes()
        return data.decode("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise StudyError(f"{file} cannot be read as a text file.") from None


def gold_from_manifest(manifest: Path) -> list[GoldSource]:
    """A CSV or JSONL file with prompt, better and worse; files are relative to it. Raises StudyError."""
    columns, problems, pairs = ("prompt", "better", "worse"), [], []
    for number, row in enumerate(_rows(manifest), 1):
        if not all(row.get(column) for column in columns):
            problems.append(f"Entry {number} of {manifest} needs prompt, better, and worse.")
            continue
        prompt, *files = (str(row[column]).strip() for column in columns)
        pairs.append(GoldSource(prompt, *(manifest.parent / file for file in files)))
    if problems or not pairs:
        raise StudyError("\n".join(problems) or f"{manifest} names no gold pair.")
    return pairs


def _rows(manifest: Path) -> list[dict]:
    """Of a CSV or JSONL file; an entry that is none is empty."""
    text = _read(manifest)
    try:
        if manifest.suffix.lower() == ".csv":
            header = _lines(text)[0]
            delimiter = max(",;\t", key=header.count)
            rows = csv.DictReader(io.StringIO(text.replace(header, header.lower(), 1)), delimiter=delimiter)
            return [{str(name).strip(): value for name, value in row.items()} for row in rows]
        found = (json.loads(line) for line in _lines(text) if line.strip())
        return [row if isinstance(row, dict) else {} for row in found]
    except (ValueError, csv.Error) as error:
        raise StudyError(f"{manifest} cannot be read: {error}.") from None


def _sources_from_manifest(manifest: Path, arm: str | None = None) -> list[Source]:
    problems, sources = [], []
    for number, row in enumerate(_rows(manifest), 1):
        of_arm = arm or row.get("arm")
        if not row.get("prompt") or not row.get("file") or not of_arm:
            problems.append(f"Entry {number} of {manifest} needs prompt, {'' if arm else 'arm, '}and file.")
            continue
        file = manifest.parent / str(row["file"])
        expected = row.get("sha256")
        if expected and file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            problems.append(f"{file} is not the image that {manifest} names: its hash differs.")
        sources.append(Source(str(row["prompt"]).strip(), str(of_arm).strip(), file, str(row.get("category") or "")))
    if problems or not sources:
        raise StudyError("\n".join(problems) or f"{manifest} names no image.")
    return sources
