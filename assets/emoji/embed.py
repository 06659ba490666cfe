"""Embeds the names and keywords of the bundled set, so that no visitor waits for it -> `concepts-*.safetensors`.

Run by a maintainer when the words or the text encoder change (seconds; the result is committed):

    python -m assets.emoji.embed
"""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from e2ed2.assets import EMOJI
from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.models.minilm import MiniLM


def main() -> None:
    for old in EMOJI.parent.glob("concepts-*.safetensors"):
        old.unlink()
    with TemporaryDirectory() as folder:
        os.environ["E2ED2_DATA"] = folder
        Concepts(bundled_words(), MiniLM())
        (made,) = Path(folder).glob("cache/concepts-*.safetensors")
        print(shutil.copy(made, EMOJI.parent))


if __name__ == "__main__":
    main()
