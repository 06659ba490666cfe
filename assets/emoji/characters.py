"""What each emoji is called, and which emoticon means which -> `characters.json`.

Run by a maintainer, once (needs npm; seconds; the result is committed):

    python -m assets.emoji.characters

Unicode's own names of characters say something else, or less: of ❤ "heavy black heart", of 😡 "pouting face"; of
several characters in one picture (🐻‍❄️) nothing, and of new ones nothing before Python knows them.
"""

import json
import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
EMOJIBASE = "17.0.0"  # as in `build.py`
FIRST = 0x2190  # characters before it are part of ordinary text: ™, the digits of keycaps
DRAWN_AS = "\ufe0f"  # "as a picture, not as text"


def main() -> None:
    with TemporaryDirectory() as folder:
        package = f"emojibase-data@{EMOJIBASE}"
        subprocess.run(["npm", "install", "--silent", "--no-save", "--prefix", folder, package], check=True)
        data = json.loads((Path(folder) / "node_modules" / "emojibase-data" / "en" / "data.json").read_text())
    known = [one for one in data if "group" in one and ord(one["emoji"][0]) >= FIRST]
    emoji = {one["emoji"].replace(DRAWN_AS, ""): called(one) for one in known}
    emoticons = {text: called(one) for one in known for text in typed(one.get("emoticon", []))}
    (HERE / "characters.json").write_text(
        json.dumps({"emoji": emoji, "emoticons": emoticons}, indent=0, ensure_ascii=False) + "\n"
    )
    print(f"{len(emoji)} emoji, {len(emoticons)} emoticons")


def called(one: dict) -> str:
    """As `build.py` writes names."""
    return one["label"].replace("’", "'")


def typed(emoticons: str | list[str]) -> list[str]:
    """Also with a nose; not `XP`, which may be a word."""
    each = [emoticons] if isinstance(emoticons, str) else emoticons
    noses = [f"{one[0]}-{one[1:]}" for one in each if one[0] in ":;"]
    return [one for one in [*each, *noses] if re.search(r"\W", one)]


if __name__ == "__main__":
    main()
