"""Which of the captions that a model knows do a visitor's words mean? A prior over captions, as in unCLIP.

The models learned some thousand names, each with six drawing styles, and are good at those words only. The reader
turns any other words into them: a small network on the text encoder's sentence embedding gives each name a
probability (`e2ed2.reading.fit` trains it). Words that are far from every name are not read at all.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from e2ed2.assets import READER
from e2ed2.data.colours import FIRST, asked_colour, can_have, in_colour
from e2ed2.data.emoji import Concepts, groups, in_style, split_style
from e2ed2.data.styles import BEST, STYLE_NAMES
from e2ed2.models.components import as_damaged
from e2ed2.models.minilm import MiniLM
from e2ed2.models.saved import ModelMixin, register_to_config
from e2ed2.reading import people
from e2ed2.reading.characters import emoji, named, says_nothing, spelt
from e2ed2.reading.denied import wanted
from e2ed2.reading.scene import is_about_its_subject, scene_of
from e2ed2.reading.spelling import Speller, words_of
from e2ed2.reading.usual import USUAL, in_usual_words
from e2ed2.seeds import number

SCALE = 10.0  # the components of unit vectors are small
DOUBT = 0.01  # probability left for other names if the prompt is itself a name
SHOWN = 5  # candidates of a reading
LIKELY = 0.5  # a seed draws among names that are at least this likely, as a share of the likeliest
# Cosine to the nearest name or keyword, and probability of the likeliest name: a prompt is not read where both are low.
FAR, SURE = 0.48, 0.5
NEAR, UNSURE = 0.6, 0.1
ARTICLE = r"^(a|an|the) "
KEPT_WORD = r"\b({})(?:e?s)?\b"


@dataclass(frozen=True)
class Candidate:
    name: str
    probability: float  # in [0, 1]


@dataclass(frozen=True)
class Reading:
    """What a prompt may mean: names, likeliest first; none if the prompt is far from all of them."""

    candidates: tuple[Candidate, ...]
    style: str  # named in the prompt; "" if none is
    nearest: tuple[str, ...]  # names to propose if there is no candidate
    words: str  # the prompt without the style, typing mistakes corrected
    colour: str = ""  # requested in the prompt; "" if none is, or the model knows no colours
    never_shown: str = ""  # something named in the prompt that no training saw a drawing of
    around: str = ""  # what the prompt says beside its thing, such as “on the beach”: no picture shows it

    def caption(self, style: str = "", name: str = "") -> str:
        """The model's input: `name` (by default the likeliest) in the style that the prompt names, else in `style`.

        Empty if the prompt could not be read: then its own words are used.
        """
        name = name or (self.candidates[0].name if self.candidates else "")
        if self.colour and can_have(name, groups().get(name, ""), self.colour):
            name = in_colour(name, self.colour)
        return in_style(name, self.style or style) if name else ""

    def only(self, name: str) -> "Reading":
        """The same reading with that name alone, however likely it is."""
        return replace(self, candidates=(Candidate(name, 1.0),))

    def draw(self, seed: int) -> str:
        """One of the likely names, drawn by probability; always the same one for a seed. Empty if there is none."""
        if not self.candidates:
            return ""
        least = LIKELY * self.candidates[0].probability
        likely = [one for one in self.candidates if one.probability >= least]
        draw = random.Random(number(seed, "reading"))
        return draw.choices([one.name for one in likely], [one.probability for one in likely])[0]


def style_of(seed: int) -> str:
    """One of the drawing styles; always the same one for a seed."""
    return random.Random(number(seed, "style")).choice(STYLE_NAMES)


def mixed_styles(seeds: Sequence[int]) -> list[str]:
    """The best style, then the others in an order that the first seed decides, the weakest last; and so on."""
    *others, weakest = (name for name in STYLE_NAMES if name != BEST)
    random.Random(number(seeds[0], "style order")).shuffle(others)
    return list(islice(cycle([BEST, *others, weakest]), len(seeds)))


class ReaderHead(ModelMixin):
    """Sentence embedding => a logit for each name."""

    @register_to_config
    def __init__(self, names: Sequence[str], vocabulary: Sequence[str], hidden: int = 512):
        """`vocabulary`: the words to which typing mistakes are corrected, in lower case."""
        super().__init__()
        self.head = nn.Sequential(
            nn.Linear(MiniLM.width, hidden), nn.GELU(), nn.Dropout(0.3), nn.Linear(hidden, len(names))
        )

    def forward(self, pooled: Tensor) -> Tensor:
        """`[B, 384]` of unit length => `[B, names]`."""
        return self.head(SCALE * pooled)


class Reader:
    """Maps a prompt to what it may mean; not read if it is far from every name and keyword, or if no name is likely.

    Of the 302 prompts in the three lists that ship with the drawings, 2 are not read; of 26 about something else
    ("linear algebra", "my grandmother"), 12 are not, and most others mean something ("Paris": a baguette).
    """

    def __init__(self, head: ReaderHead, concepts: Concepts):
        self.head, self.concepts = head, concepts
        self.names = list(head.config.names)
        self.spell = Speller(vocabulary_of(head.config), self.names)
        self.known = {word.lower() for word in concepts.words}
        self.exactly = {name.lower(): i for i, name in enumerate(self.names)}
        self.kept = kept_from_training(self.names)
        self.never_drawn = never_drawn(self.names)
        self.strange_word = strange_word(self.names)

    @torch.no_grad()
    def __call__(self, prompt: str, colours: bool = False) -> Reading:
        """`colours`: the model has seen things in other colours than their own."""
        typed, style = split_style(prompt)
        typed = self.spell(in_usual_words(wanted(typed)))
        text = spelt(typed)
        candidates, nearest = self.meanings(text)
        candidates, of, around = self.in_scene(text, candidates) or (candidates, typed, "")
        return Reading(
            candidates,
            style,
            nearest,
            text,
            self.colour(of) if colours else "",
            self.never_shown(typed, text.lower()),
            around,
        )

    def meanings(self, text: str) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
        """What the text may mean, and the names nearest to it; nothing if it is far from all of them."""
        probabilities = self.head(self.concepts.encoder([text]).pooled).softmax(dim=-1)[0]
        if (index := self.exactly.get(text.lower())) is not None:
            probabilities = torch.eye(len(self.names))[index].lerp(probabilities, DOUBT)
        best = probabilities.topk(SHOWN)
        candidates = tuple(Candidate(self.names[i], p) for p, i in zip(*map(Tensor.tolist, best), strict=True))
        nearest = self.concepts.nearest(text)
        unread = says_nothing(text) or far(nearest[0].similarity, candidates[0].probability)
        return () if unread else candidates, tuple(one.name for one in nearest)

    def in_scene(self, text: str, whole: tuple[Candidate, ...]) -> tuple[tuple[Candidate, ...], str, str] | None:
        """If a scene's subject says best what it shows: what that may mean, its words, and what is around it."""
        if self.is_known(text) or not (scene := scene_of(text, self.known)):
            return None
        own, _ = self.meanings(scene.subject)
        best = whole[0] if whole else Candidate("", 0.0)
        about = own and is_about_its_subject(scene, best, own[0], groups().get(own[0].name, ""))
        return (own, scene.subject, scene.rest) if about else None

    def is_known(self, text: str) -> bool:
        """Whether the text is itself a name or a keyword."""
        return re.sub(ARTICLE, "", text.lower()) in self.known

    def colour(self, typed: str) -> str:
        """The requested colour; empty if the text is itself a name or a keyword, such as `orange`.

        An emoji whose colour differs from its drawings', such as 📗, requests that colour; 🍎 requests none.
        """
        text = typed if any(name.lower() in self.exactly for name in named(typed)) else spelt(typed)
        return "" if self.is_known(text) else asked_colour(text)

    def never_shown(self, typed: str, text: str) -> str:
        """`a violin, please` => `violin`; none if it is part of a known name, as in `mirror ball`."""
        for name in named(typed):
            if name in self.never_drawn:
                return name
        if not (match := self.strange_word.search(text)):
            return ""
        named_so = match[match.lastindex or 0]
        return "" if any(named_so in name and name in text for name in self.exactly) else named_so


def vocabulary_of(config: Any) -> list[str]:
    """Words to which mistakes are corrected: those that the reader learned, and names of things never shown."""
    return sorted({*config.vocabulary, *words_of(kept_from_training(config.names))})


def kept_from_training(names: Sequence[str]) -> list[str]:
    """Concepts that were drawn but never trained on, in lower case, longer ones first.

    Without those known in other colours, or by another name (a bus is an oncoming bus).
    """
    unseen = {name.lower() for name in groups()} - {name.lower() for name in names} - USUAL.keys()
    return sorted((name for name in unseen if not FIRST.match(name)), key=lambda name: (-len(name), name))


def strange_word(names: Sequence[str]) -> re.Pattern[str]:
    """What a text in lower case names that no training saw a drawing of, in its only group that matches."""
    unseen = KEPT_WORD.format("|".join(map(re.escape, kept_from_training(names))))
    return re.compile(f"{unseen}|{people.PERSON}", re.ASCII)


def never_drawn(names: Sequence[str]) -> set[str]:
    """Names of emoji that no training saw a drawing of: people, flags, arrows, and what was held out."""
    drawn = {*USUAL, *(name.lower() for name in [*groups(), *names])} - set(kept_from_training(names))
    return {name for name in emoji().values() if name.lower() not in drawn}


def far(nearness: float, surest: float) -> bool:
    return (nearness < FAR and surest < SURE) or (nearness < NEAR and surest < UNSURE)


@cache
def load_head(folder: Path = READER) -> ReaderHead:
    """Load the reader's network. Raises UserError: the files are damaged."""
    with as_damaged(folder):
        return ReaderHead.from_pretrained(folder)
