"""Train the reader on every caption of the bundled drawings, search words and usual requests.

python -m e2ed2.reading.fit --out FOLDER      (four minutes on one core, most of them to embed the texts)
"""

import json
import random
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from e2ed2.assets import EMOJI_ASKED, EMOJI_WORDS, READER
from e2ed2.data.captions import caption_texts, precomputed
from e2ed2.data.pictures import DataConfig, load_pictures
from e2ed2.errors import exit_on_user_error
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import save_model
from e2ed2.progress import track
from e2ed2.reading.reader import ARTICLE, ReaderHead
from e2ed2.reading.spelling import SHORTEST, WORD, words_of
from e2ed2.reading.usual import USUAL
from e2ed2.seeds import number, stream

# Not the words of `e2ed2.data.colours`: the bundled reader learned with these, in this order.
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "golden")
KINDS = ("big", "small", "tiny", "giant", "old", "new", "cute", "little", "huge", "happy", "beautiful")
REQUESTS = (
    *("draw a {}", "can you draw a {} please", "show me a {}", "I want a picture of a {}", "could I have a {}?"),
    *("what does a {} look like?", "where is my {}?", "an image of {}", "two {}s", "three {}s", "many {}s", "some {}s"),
    *("lots of {}s", "{} please", "a {} in the rain", "a {} at night", "one {} on a table", "a {} in space"),
    *("a photo of a {}", "my {}", "a {} and a friend", "{} icon"),
)
SMALL_WORDS = frozenset(("with", "of", "and", "the", "in", "on", "at", "but", "from", "for"))
SHARED = 4  # names that may be searched with a word that means another one
TEMPLATES = 10  # requests for each name
COLOURED = re.compile(rf"\b({'|'.join(COLOURS)})\b|circle|square|heart", re.IGNORECASE)


@dataclass(frozen=True)
class Fit:
    """Train the reader anew."""

    out: Path = READER
    epochs: int = 16
    batch_size: int = 512
    lr: float = 2e-3
    noise: float = 0.7
    """Noise on the embeddings, as a share of their length; it stands for texts that nobody wrote down."""
    seed: int = 0


def texts_of_names() -> dict[str, list[str]]:
    """Every text for each name, sorted: its captions, search words, and usual requests."""
    pictures = load_pictures(DataConfig(resolution=16))
    captions = dict(zip(pictures.captions, caption_texts(pictures)[0], strict=True))
    words, requested = json.loads(EMOJI_WORDS.read_text()), json.loads(EMOJI_ASKED.read_text())
    texts = {name: {*own, *searches(name, words[name].get("searches", []))} for name, own in sorted(captions.items())}
    belongs = owners(texts) | USUAL
    return {
        name: sorted(
            {
                *(text for text in own if belongs.get(bare(text), name) == name),
                *own_words(name, belongs),
                *requested[name],
            }
        )
        for name, own in texts.items()
    }


def owners(texts: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Words that mean a single name, even if they are search words of a few others: "wine" is a wine glass, not grapes.

    Of all names such a word stands in this one alone, beside one more word that says something.
    """
    names = {name: [word for word in WORD.findall(name.lower()) if word not in SMALL_WORDS] for name in texts}
    inside = Counter(word for words in names.values() for word in set(words))
    searched = Counter(text for own in texts.values() for text in set(map(bare, own)))
    starts = {name[:length] for name, words in names.items() if len(words) == 1 for length in range(len(name) + 1)}
    return {
        word: name
        for name, words in names.items()
        if len(words) == 2
        for word in words
        if inside[word] == 1
        and word not in KINDS
        and len(word) >= SHORTEST - 1
        and searched[word] <= SHARED
        and word not in starts
        and not COLOURED.search(word)
    }


def own_words(name: str, belongs: Mapping[str, str]) -> list[str]:
    """The requests made with words that mean this name."""
    words = [word for word, owner in belongs.items() if owner == name]
    forms = ("{}", "a {}", "some {}", "a piece of {}", "my {}", "cute {}", *REQUESTS[:5])
    return [form.format(word) for word in words for form in forms]


def bare(text: str) -> str:
    return re.sub(ARTICLE, "", text.lower())


def searches(name: str, words: list[str]) -> list[str]:
    """Search words for the name: alone, beside the name, and in pairs."""
    draw = random.Random(name)
    pairs = [" ".join(draw.sample(words, 2)) for _ in range(4)] if len(words) > 1 else []
    return [*(form.format(word) for word in words for form in ("{}", "a {}", f"{{}} {name}")), *pairs]


def requests(name: str, known: set[str]) -> list[str]:
    """The name within requests, with colours and sizes, which must not change what it is."""
    draw = random.Random(name)
    kinds = draw.sample(KINDS, 5) + ([] if COLOURED.search(name) else draw.sample(COLOURS, 6))
    described = [f"{kind} {name}" for kind in kinds if f"{kind} {name}".lower() not in known]
    return [form.format(name) for form in draw.sample(REQUESTS, TEMPLATES)] + [
        draw.choice(("{}", "a {}")).format(text) for text in described
    ]


def fit(options: Fit) -> ReaderHead:
    texts = texts_of_names()
    vocabulary = words_of({text for own in texts.values() for text in own})
    known = {name.lower() for name in texts}
    requested = {name: sorted({*own, *requests(name, known)}) for name, own in texts.items()}
    captions = [text for own in requested.values() for text in own]
    target = torch.tensor([i for i, own in enumerate(requested.values()) for _ in own])
    pooled = precomputed(captions, MiniLM()).pooled
    with torch.random.fork_rng():
        torch.manual_seed(number(options.seed, "weights"))
        model = ReaderHead(list(texts), vocabulary)
        train(model, pooled, target, options)
    return model.eval()


def train(model: ReaderHead, pooled: Tensor, target: Tensor, options: Fit) -> None:
    updates = options.epochs * len(pooled) // options.batch_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    draws = stream(options.seed, "caption")
    for _ in track(range(updates), "training the reader"):
        rows = torch.randint(len(pooled), (options.batch_size,), generator=draws)
        noise = torch.randn(options.batch_size, pooled.shape[1], generator=draws) / pooled.shape[1] ** 0.5
        logits = model(F.normalize(pooled[rows] + options.noise * noise, dim=-1))
        loss = F.cross_entropy(logits, target[rows], label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@exit_on_user_error()
def main() -> None:
    options = tyro.cli(Fit, prog="python -m e2ed2.reading.fit")
    save_model(fit(options), options.out)
    print(options.out)


if __name__ == "__main__":
    main()
