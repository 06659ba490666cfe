"""People, and beings drawn like people: no drawing of one is in the bundled set, so that no model was shown any.

They change what is said of a prompt, and not what it is read as: `e2ed2.reading.identity` has no need of them.
"""

KINDS = (
    *("man", "men", "woman", "women", "boy", "girl", "baby", "babies", "child", "children", "family", "families"),
    *("mother", "father", "grandmother", "grandfather", "grandma", "grandpa", "bride", "groom"),
    *("king", "queen", "prince", "princess", "knight", "soldier", "pirate", "ninja", "samurai", "viking"),
    *("police officer", "policeman", "policewoman", "detective", "firefighter", "fireman", "astronaut", "pilot"),
    *("doctor", "nurse", "dentist", "teacher", "student", "scientist", "farmer", "chef", "waiter", "mechanic"),
    *("artist", "painter", "singer", "dancer", "ballerina", "juggler", "runner", "swimmer", "skier", "snowboarder"),
    *("vampire", "zombie", "mermaid", "merman", "elf", "elves", "fairy", "fairies", "genie", "wizard", "witch"),
    *("troll", "superhero", "supervillain", "santa claus", "santa"),
)
# Not where it says what kind of thing something else is, as in "vampire bat", "baby elephant" or "witch's hat".
AFTER = r"and|or|in|on|at|with|without|to|near|under|by|as|like|who|that|is|please|\w+ing"
ALONE = rf"(?=(?:e?s)?(?:\s*$|[.,;:!?]| (?:{AFTER})\b))"
PERSON = rf"\b({'|'.join(sorted(KINDS, key=lambda kind: (-len(kind), kind)))}){ALONE}"
