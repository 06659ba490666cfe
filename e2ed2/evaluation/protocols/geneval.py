"""GenEval (Ghosh et al. 2023): samples its prompts into the folders that its judge reads, and reads the verdicts.

The judge itself (Mask2Former by mmdetection) runs in an environment of its own:
`python evaluation/evaluate_images.py FOLDER --outfile FOLDER/results.jsonl --model-path ...`.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from e2ed2.errors import UserError
from e2ed2.evaluation.generators import Generator, load_or_sample
from e2ed2.progress import track

SAMPLES = 4  # per prompt
RESULTS = "results.jsonl"


def read_metadata(file: Path) -> list[dict[str, Any]]:
    """GenEval's prompts with their metadata. Raises UserError: the file is not GenEval's list of prompts."""
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        if lines and all(line["prompt"] and line["tag"] for line in lines):
            return lines
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise UserError(
        f"{file} is not GenEval's list of prompts: give prompts/evaluation_metadata.jsonl of "
        "github.com/djghosh13/geneval."
    )


def write_samples(generator: Generator, prompts: list[dict[str, Any]], seed: int, folder: Path) -> None:
    """`00000/metadata.jsonl` and `00000/samples/00000.png` to `00003.png`, from seeds `seed` to `seed` + 3."""
    for number, prompt in enumerate(track(prompts, "GenEval")):
        place = folder / f"{number:05d}"
        (place / "samples").mkdir(parents=True, exist_ok=True)
        (place / "metadata.jsonl").write_text(json.dumps(prompt))
        pictures = load_or_sample(generator, [(prompt["prompt"], seed + i) for i in range(SAMPLES)])
        for i, picture in enumerate(pictures):
            picture.save(place / "samples" / f"{i:05d}.png")


def overall(folder: Path) -> float | None:
    """The mean over kinds of prompts of the share of right pictures; None if the judge has not run yet.

    Raises:
        UserError: its file is damaged.
    """
    file = folder / RESULTS
    if not file.is_file():
        return None
    right: dict[str, list[bool]] = defaultdict(list)
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            judged = json.loads(line)
            right[judged["tag"]].append(bool(judged["correct"]))
        return sum(sum(one) / len(one) for one in right.values()) / len(right)
    except (ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{file} is not what GenEval's evaluate_images.py writes: run that again.") from error
