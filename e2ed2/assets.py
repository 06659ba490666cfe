"""Paths of the bundled files: the only module that knows them.

In a checkout they are in `assets/` beside the package; in an installed wheel, inside the package.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "bundled"
ASSETS = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "assets"

CHECKPOINTS = ASSETS / "checkpoints"
RETRIEVAL_HEAD = CHECKPOINTS / "retrieval" / "head.safetensors"
READER = CHECKPOINTS / "reader"
EMOJI = ASSETS / "emoji" / "emoji.parquet"
EMOJI_WORDS = ASSETS / "emoji" / "words.json"
EMOJI_ASKED = ASSETS / "emoji" / "asked.json"  # words that people ask for each name with
EMOJI_CHARACTERS = ASSETS / "emoji" / "characters.json"  # the name of each
EMOJI_LICENSES = ASSETS / "emoji" / "LICENSES.json"
EMOJI_FEATURES = ASSETS / "emoji" / "features.safetensors"
VISITOR_PROMPTS = ASSETS / "emoji" / "visitor_prompts.csv"
EVERYDAY_PROMPTS = ASSETS / "emoji" / "everyday_prompts.csv"
STRANGERS_PROMPTS = ASSETS / "emoji" / "strangers_prompts.csv"
RESULTS = ASSETS / "results"
