"""Lookup tables of the page's reader and tokenizer, as JSON."""

import json
import string
import sys
from collections.abc import Collection
from typing import Any

from e2ed2.data.colours import ASKED, COLOUR, COLOURS, FIRST, WORDS, can_have
from e2ed2.data.emoji import BEFORE, ORDINARY, STYLED, Concepts, groups
from e2ed2.data.styles import BEST, BY_SEED, STYLE_NAMES
from e2ed2.models.minilm import MiniLM, spelt_out, weights_folder
from e2ed2.reading import characters, denied, reader, scene, spelling, usual


def tokenizer_table() -> dict[str, Any]:
    """The tokenizer in the format of Hugging Face's tokenizers, without padding and truncation."""
    table = json.loads((weights_folder() / "tokenizer.json").read_text())
    settings = json.loads((weights_folder() / "tokenizer_config.json").read_text())
    return {"tokenizer": table | {"truncation": None, "padding": None}, "settings": settings}


def text_table() -> dict[str, Any]:
    """What every prompt is rewritten with first: the names of symbols, and the styles."""
    symbols = (chr(code) for code in range(sys.maxunicode + 1))
    return {
        "symbols": {symbol: spelt for symbol in symbols if (spelt := spelt_out(symbol)) != symbol},
        "spaces": "".join(chr(code) for code in range(0x3001) if chr(code).isspace()),
        "styles": STYLE_NAMES,
        "styled": STYLED.pattern,
        "before": BEFORE.pattern,
        "ordinary": ORDINARY,
        "best": BEST,
        "by_seed": BY_SEED,
    }


def reader_table(head: reader.ReaderHead, concepts: Concepts) -> dict[str, Any]:
    """Names and words of the reader, and its thresholds."""
    config: Any = head.config
    vocabulary = reader.vocabulary_of(config)
    number = {name: i for i, name in enumerate(config.names)}
    letters = set(string.ascii_lowercase)
    english = {word for word in spelling.english() if set(word) <= letters and not spelling.is_rare(word)}
    things = sorted(set(concepts.words.values()) - number.keys())
    return {
        "names": list(config.names),
        "vocabulary": vocabulary,
        "english": " ".join(sorted(word for word in english - set(vocabulary) if len(word) >= spelling.SHORTEST)),
        "things": list(config.names) + things,
        "thing_of_word": [
            number[name] if name in number else len(number) + things.index(name) for name in concepts.words.values()
        ],
        "doubt": reader.DOUBT,
        "shown": reader.SHOWN,
        "far": [[reader.FAR, reader.SURE], [reader.NEAR, reader.UNSURE]],
        "colours": colour_table(config.names, concepts),
        "strange_word": reader.strange_word(config.names).pattern,
        "never_drawn": sorted(reader.never_drawn(config.names)),
        "asking": asking_table(),
        "scene": scene_table(config.names, {word.lower() for word in concepts.words}),
        "characters": character_table(),
        "spelling": spelling_table(),
    }


def asking_table() -> dict[str, Any]:
    """Patterns of what a prompt excludes, and regional words."""
    return {
        "denial": denied.DENIAL.pattern,
        "nothing": denied.NOTHING.pattern,
        "around": denied.AROUND.pattern,
        "slang": usual.MEANT,
        "slangy": usual.SLANGY.pattern,
    }


def scene_table(names: list[str], known: Collection[str]) -> dict[str, Any]:
    """Words of places and actions, thresholds, and which names are living things, or things at all."""
    kinds = {"living": scene.LIVING, "things": scene.THINGS}
    creatures = [name for name in names if name in scene.CREATURES]
    return {
        "token": scene.TOKEN.pattern,
        "articles": scene.ARTICLES,
        "places": scene.PLACES,
        "company": scene.COMPANY,
        "nouns": scene.NOUNS,
        "longest": scene.LONGEST,
        "place": scene.PLACE.pattern,
        "uncertain": scene.UNCERTAIN,
        "certain": scene.CERTAIN,
        **{kind: creatures + [name for name in names if groups().get(name) in of_it] for kind, of_it in kinds.items()},
        "known": sorted(known),
    }


def character_table() -> dict[str, Any]:
    """Names of emoji and emoticons."""
    return {
        "emoji": characters.emoji(),
        "emoticons": characters.emoticons(),
        "any": characters.any_emoji().pattern,
        "drawn": characters.DRAWN,
    }


def spelling_table() -> dict[str, float]:
    return {
        "shortest": spelling.SHORTEST,
        "like": spelling.LIKE,
        "named": spelling.NAMED,
        "first": spelling.FIRST,
    }


def colour_table(names: list[str], concepts: Concepts) -> dict[str, Any]:
    """Words for colours, and contexts in which they do not mean a colour."""
    words = sorted({word.lower() for word in concepts.words if COLOUR.search(word)})
    return {
        "words": WORDS,
        "first": FIRST.pattern,
        "asked": ASKED,
        "article": reader.ARTICLE,
        "known": words,
        "without": {name: colours for name in names if (colours := never_in(name))},
    }


def never_in(name: str) -> list[str]:
    return [colour for colour in COLOURS if not can_have(name, groups().get(name, ""), colour)]


def token_rows(encoder: MiniLM, concepts: Concepts | None) -> dict[str, list[int]]:
    """Rows of the token table: those that the model's captions need, and those that no text can contain."""
    ids: dict[str, int] = encoder.tokenizer.get_vocab()
    unused = [row for token, row in ids.items() if token.startswith("[unused")]
    if concepts is None:
        return {"unused": unused}
    read = encoder.tokenizer.encode_batch([*concepts.words, *STYLE_NAMES, *WORDS, ", style"])
    return {"known": sorted({row for one in read for row in one.ids}), "unused": unused}
