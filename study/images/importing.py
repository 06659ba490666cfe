"""Images of any origin, stored so that nothing tells the arms apart but what they show."""

import os
import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter

from study.errors import StudyError
from study.images.library import Library, encode, name_of
from study.images.reading import load_image
from study.images.sources import GoldSource, Source
from study.protocol.parts import DEGRADED, GOLDEN, REFERENCE, Prompt, Stimulus

GRAINS = 64  # of noise, at most, along each side of a spoilt copy
MAX_PROBLEMS = 40  # listed; more are counted
Track = Callable[[Iterable, int], Iterable]  # shows how far an iterable of so many items is


def quietly(items: Iterable, total: int) -> Iterable:
    return items


@dataclass(frozen=True)
class Imported:
    arms: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    stimuli: tuple[Stimulus, ...]
    degraded: tuple[Stimulus, ...]  # one for each prompt, or the worse pictures of own gold pairs
    gold_of: tuple[str, ...]  # sha256 of the intact image of each
    golden: tuple[Stimulus, ...]  # the better pictures of own gold pairs
    references: tuple[Stimulus, ...]  # pictures that are shown beside both


def import_images(
    sources: Sequence[Source],
    library: Library,
    gold: Sequence[GoldSource] = (),
    quality: int | None = None,
    track: Track = quietly,
) -> Imported:
    """Stores every image as WebP without metadata; nothing is stored where anything is wrong.

    No more images are held in memory than there are processors.

    Args:
        quality: 1 to 100, for all images alike; without one no pixel changes.

    Raises:
        StudyError: all problems at once, one a line.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise StudyError(f"The quality of images is {quality}: choose 1 to 100, or leave it out to lose nothing.")
    library.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.folder.parent) as temporary:
        stored = _stage(sources, gold, Path(temporary), quality, track)
        for part in Path(temporary).iterdir():
            library.take(part)

    def of(prompt: str, arm: str, file: Path) -> Stimulus:
        return Stimulus(prompt, arm, file.name, stored[file])

    known = tuple(of(source.prompt, source.arm, source.file) for source in sources)
    stimuli, references = (
        tuple(s for s in known if (s.arm == REFERENCE) == shown_beside) for shown_beside in (False, True)
    )
    arms = _arms(sources)
    prompts = {source.prompt: Prompt(source.prompt, source.category) for source in reversed(sources)}
    ordered = tuple(prompts[text] for text in dict.fromkeys(source.prompt for source in sources))
    if not gold:
        return Imported(
            arms, ordered, stimuli, *_spoil(arms, ordered, stimuli, library, quality, track), (), references
        )
    worse = tuple(of(pair.prompt, DEGRADED, pair.worse) for pair in gold)
    golden = tuple(of(pair.prompt, GOLDEN, pair.better) for pair in gold)
    return Imported(arms, ordered, stimuli, worse, tuple(s.sha256 for s in golden), golden, references)


def _stage(
    sources: Sequence[Source], gold: Sequence[GoldSource], folder: Path, quality: int | None, track: Track
) -> dict[Path, str]:
    """Every file's stored form in the folder, and its SHA-256."""
    problems = list(_counting_problems(sources))
    wanted, sizes, stored = list(_files(sources, gold)), {}, {}

    def stage(file: Path) -> tuple[tuple[int, int], str] | str:
        try:
            image = load_image(file)
        except StudyError as error:
            return str(error)
        data = encode(image, quality)
        (folder / name_of(data)).write_bytes(data)
        return image.size, name_of(data).partition(".")[0]

    for (shown_with, file), done in zip(wanted, _each(stage, [file for _, file in wanted], track), strict=True):
        if isinstance(done, str):
            problems.append(done)
            continue
        size, stored[file] = done
        sizes.setdefault(shown_with, {}).setdefault(size, file)
    for shown_with, by_size in sizes.items():
        if len(by_size) > 1:
            listed = ", ".join(f"{file} {w}x{h}" for (w, h), file in by_size.items())
            problems.append(f"The images of {shown_with} differ in size ({listed}): make them equal.")
    if problems:
        more = [f"... and {len(problems) - MAX_PROBLEMS} more problems."] if len(problems) > MAX_PROBLEMS else []
        raise StudyError("\n".join(problems[:MAX_PROBLEMS] + more))
    return stored


def _each(work: Callable, items: Sequence, track: Track) -> Iterable:
    """In their order, as many at once as there are processors: Pillow lets go of Python's lock while it encodes."""
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are checked by load_image
        try:
            yield from track(pool.map(work, items), len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _files(sources: Sequence[Source], gold: Sequence[GoldSource]) -> Iterable[tuple[str, Path]]:
    """Every file, with what it is compared for: images that are compared have one size."""
    for source in sources:
        of = "the reference of prompt" if source.arm == REFERENCE else "prompt"
        yield f"{of} {source.prompt!r}", source.file
    for number, pair in enumerate(gold, 1):
        yield from ((f"gold pair {number}", file) for file in (pair.better, pair.worse))


def _spoil(
    arms: tuple[str, ...],
    prompts: tuple[Prompt, ...],
    stimuli: tuple[Stimulus, ...],
    library: Library,
    quality: int | None,
    track: Track,
) -> tuple[tuple[Stimulus, ...], tuple[str, ...]]:
    """For each prompt one image made unrecognisable, the arms taking turns."""
    first = {(s.prompt, s.arm): s for s in reversed(stimuli)}
    good = [first[prompt.text, arms[i % len(arms)]] for i, prompt in enumerate(prompts)]

    def spoil(i: int) -> str:
        return library.add(encode(_spoilt(load_image(library.path(good[i].sha256)), i), quality))

    spoilt = list(_each(spoil, range(len(good)), track))
    degraded = tuple(Stimulus(s.prompt, DEGRADED, "", sha256) for s, sha256 in zip(good, spoilt, strict=True))
    return degraded, tuple(s.sha256 for s in good)


def _spoilt(image: Image.Image, seed: int) -> Image.Image:
    """Sixteen blurred squares under coarse noise; no finer than GRAINS, or it had more bytes than the pictures."""
    small = image.resize((4, 4), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
    grains = (min(max(image.width // 4, 1), GRAINS), min(max(image.height // 4, 1), GRAINS))
    noise = Image.frombytes("RGB", grains, random.Random(seed).randbytes(3 * grains[0] * grains[1]))
    return Image.blend(small.filter(ImageFilter.BoxBlur(1)), noise.resize(image.size, Image.Resampling.NEAREST), 0.4)


def _arms(sources: Sequence[Source]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.arm for source in sources if source.arm != REFERENCE))


def _counting_problems(sources: Sequence[Source]) -> Iterable[str]:
    arms, references = _arms(sources), Counter(source.prompt for source in sources if source.arm == REFERENCE)
    counts: dict[str, dict[str, int]] = {}
    for source in sources:
        if source.arm == REFERENCE:
            continue
        of_prompt = counts.setdefault(source.prompt, dict.fromkeys(arms, 0))
        of_prompt[source.arm] += 1
    if len(arms) < 2:
        yield f"A study compares at least two arms; found {', '.join(arms) or 'none'}."
    for prompt, count in references.items():
        if count > 1:
            yield f"Prompt {prompt!r} has {count} reference images: give one."
    for prompt, of_prompt in counts.items():
        if len(set(of_prompt.values())) > 1:
            listed = ", ".join(f"{arm} {count}" for arm, count in of_prompt.items())
            yield f"Prompt {prompt!r} does not have the same number of images for each arm: {listed}."
