"""What a scene is about: `a dog running on the beach` is a dog. The models draw one thing, and nothing around it."""

import re
from collections.abc import Container
from typing import NamedTuple, Protocol

TOKEN = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*", re.IGNORECASE | re.ASCII)
ARTICLES = ("a", "an", "the", "my", "our", "some", "one", "this", "that")
PLACES = (
    *("on", "in", "at", "under", "over", "above", "below", "beneath", "beside", "near", "by", "behind", "inside"),
    *("across", "through", "against", "into", "onto", "from", "around", "between", "among", "along", "outside"),
)
COMPANY = "with"  # beside an animal or a plant; of other things it often says what they are: a plate with spaghetti
NOUNS = (  # words that end like an action
    *("ring", "king", "string", "thing", "wing", "spring", "building", "evening", "morning", "painting", "ceiling"),
    *("earring", "wedding", "clothing", "pudding", "dumpling", "lightning", "viking", "ping", "nothing", "something"),
)
LONGEST = 3  # words of the subject, and one more, mostly what was done to it, as in `parked by the sea`
# A rest that says a place, by a word before a noun; `in a black suit` may say what the thing is.
OWN = "the|an?|my|its|his|her|our|their"
TIME = "at (?:night|sunset|dawn|dusk|home|sea)"
PLACE = re.compile(
    rf"^(?!in an? )(?:(?:\w+(?:ing|ed) )?(?:(?:{'|'.join(PLACES)}) )?(?:{OWN})|{TIME})\b", re.IGNORECASE | re.ASCII
)
LIVING = ("animals-nature",)  # groups of names
CREATURES = ("robot", "alien", "alien monster", "ghost", "clown face", "skull", "ogre", "goblin")  # of another group
THINGS = (*LIVING, "travel-places", "objects", "food-drink", "activities")
# Probability of the whole below which a scene is read as its subject alone, and of the subject from which it can be.
UNCERTAIN, CERTAIN = 0.5, 0.4


class Meaning(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def probability(self) -> float:
        """In [0, 1]."""
        ...


class Scene(NamedTuple):
    """A prompt that begins with a known thing and goes on with where it is, what it does, or what is with it."""

    subject: str
    rest: str

    @property
    def says_company(self) -> bool:
        return self.rest.lower().startswith(f"{COMPANY} ")

    @property
    def says_place(self) -> bool:
        return bool(PLACE.search(self.rest))

    @property
    def says_action(self) -> bool:
        return is_action(self.rest.split()[0].lower())


def scene_of(text: str, known: Container[str]) -> Scene | None:
    """
    Args:
        known: words and names of things, in lower case.
    """
    tokens = list(TOKEN.finditer(text))
    words = [token[0].lower() for token in tokens]
    first = 1 if words and words[0] in ARTICLES else 0
    for end in range(first + 1, min(first + LONGEST + 2, len(words) - 1)):
        if words[end] in (*PLACES, COMPANY) or is_action(words[end]):
            if words[end - 1].endswith("ed") and end - 1 > first:  # parked by the sea
                end -= 1
            subject = text[tokens[first].start() : tokens[end - 1].end()]
            names_a_thing = any(" ".join(words[start:end]) in known for start in range(first, end))
            return Scene(subject, text[tokens[end].start() :]) if names_a_thing else None
    return None


def is_action(word: str) -> bool:
    return word.endswith("ing") and word not in NOUNS


def is_about_its_subject(scene: Scene, whole: Meaning, own: Meaning, group: str) -> bool:
    """Whether the subject alone says better what a scene shows than all of its words.

    Args:
        whole: what all words are read as; an empty name if they could not be read.
        own: what the subject is read as, a name of that `group`.
    """
    if own.probability < CERTAIN:
        return False
    if whole.name == own.name and scene.says_place:
        return True
    living = group in LIVING or own.name in CREATURES
    if not living and group not in THINGS:
        return False
    elsewhere = comes_from(whole.name, scene)
    if scene.says_company:
        return elsewhere and living
    if elsewhere:
        return living or scene.says_place or not scene.says_action  # not `fire breathing dragon`
    unsure = whole.probability < UNCERTAIN and scene.says_place and not shared(whole.name, scene.subject)
    return unsure or not whole.name


def comes_from(name: str, scene: Scene) -> bool:
    """Whether the name has words of the rest, apart from actions, and none of the subject."""
    rest = " ".join(word for word in scene.rest.split() if not is_action(word.lower()))
    return shared(name, rest) and not shared(name, scene.subject)


def shared(first: str, second: str) -> bool:
    """Whether two texts have a word in common, be it one or many."""
    one, other = ({word.lower().removesuffix("s") for word in TOKEN.findall(text)} for text in (first, second))
    return bool(one & other)
