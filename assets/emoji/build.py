"""Draw the emoji data set: six icon sets -> `emoji.parquet`, one row a picture.

Run by a maintainer, once (needs npm and resvg-py; 12 minutes on 2 cores; the result is committed):

    pip install -r requirements-dev.txt
    python assets/emoji/build.py

Icon sets are matched to emojibase concepts by Unicode code points where the package gives them and
by name elsewhere. The same package versions give the same file, byte for byte.
"""

import hashlib
import io
import json
import re
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import resvg_py
from PIL import Image

HERE = Path(__file__).parent
RESOLUTION = 128
MIN_STYLES = 3
COMBO_SHARE = 0.05  # of pictures: their concept is in `train`, in other styles only
CONCEPT_SHARE = 0.03  # of concepts: in no style in `train`

EMOJIBASE = "17.0.0"
# style -> (icon set, version). The style is the word a caption names it by.
SETS = {
    "noto": ("noto", "1.2.9"),
    "twemoji": ("twemoji", "1.2.5"),
    "flat": ("fluent-emoji-flat", "1.2.6"),
    "fluent": ("fluent-emoji", "1.2.7"),
    "openmoji": ("openmoji", "1.2.29"),
    "emojione": ("emojione", "1.2.3"),
}
# Icon sets are of unlike age; where one has no code points its names follow an older Unicode.
FORMER_NAMES = {"enraged-face": "pouting-face"}

GROUPS = {"smileys-emotion", "animals-nature", "food-drink", "travel-places", "activities", "objects"}
EXTRA_SUBGROUPS = {
    "hand-fingers-open",
    "hand-fingers-partial",
    "hand-fingers-closed",
    "hands",
    "body-parts",
    "geometric",
}
DROPPED_SUBGROUPS = {"transport-sign"}
# Directions, letters, clocks and near copies: pictures that a caption cannot tell apart.
DROPPED = re.compile(
    r"o’clock|thirty|button|facing|pointing|leftwards|rightwards|banknote|mailbox with|"
    r"(left|right)-facing|tilted|tear-off|incoming|outbox|inbox|Japanese|middle finger|map of"
)


def main() -> None:
    with TemporaryDirectory() as folder:
        packages = [f"@iconify-json/{name}@{version}" for name, version in SETS.values()]
        subprocess.run(
            ["npm", "install", "--silent", "--no-save", "--prefix", folder, *packages, f"emojibase-data@{EMOJIBASE}"],
            check=True,
        )
        modules = Path(folder) / "node_modules"
        concepts = read_concepts(modules / "emojibase-data" / "en")
        rows, notices = draw(modules, concepts)
    rows = assign_splits(keep_common(rows))
    pq.write_table(pa.Table.from_pylist(rows), HERE / "emoji.parquet", compression="zstd", row_group_size=512)
    (HERE / "LICENSES.json").write_text(json.dumps(notices, indent=2) + "\n")
    print(f"{len(rows)} pictures of {len({r['concept'] for r in rows})} concepts")


def read_concepts(folder: Path) -> list[dict]:
    """The emoji worth painting, each with its code points, name, keywords and group."""
    data = json.loads((folder / "data.json").read_text())
    messages = json.loads((folder / "messages.json").read_text())
    groups = {g["order"]: g["key"] for g in messages["groups"]}
    subgroups = {s["order"]: s["key"] for s in messages["subgroups"]}
    concepts = []
    for emoji in data:
        if "group" not in emoji:
            continue
        group, subgroup = groups[emoji["group"]], subgroups[emoji["subgroup"]]
        wanted = group in GROUPS or subgroup in EXTRA_SUBGROUPS
        if wanted and subgroup not in DROPPED_SUBGROUPS and not DROPPED.search(emoji["label"]):
            concepts.append(
                {
                    "code": code_points(emoji["hexcode"]),
                    "name": emoji["label"].replace("’", "'"),
                    "keywords": list(emoji.get("tags", [])),
                    "group": group,
                }
            )
    return concepts


def code_points(text: str) -> str:
    return "-".join(c for c in text.lower().split("-") if c not in ("fe0f", "200d"))


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", "").replace("ñ", "n")).strip("-")


def draw(modules: Path, concepts: list[dict]) -> tuple[list[dict], dict]:
    jobs, notices = [], {}
    for style, (name, version) in SETS.items():
        folder = modules / "@iconify-json" / name
        icons, info = json.loads((folder / "icons.json").read_text()), json.loads((folder / "info.json").read_text())
        chars_file = folder / "chars.json"
        chars = json.loads(chars_file.read_text()) if chars_file.exists() else {}
        by_code = {code_points(code): icon for code, icon in chars.items()}
        notices[style] = {
            "set": info["name"],
            "version": version,
            "author": info["author"],
            "license": info["license"],
        }
        for concept in concepts:
            icon = by_code.get(concept["code"]) or find_by_name(icons, slug(concept["name"]))
            if icon is not None:
                jobs.append((icons, icon, concept, style, name, info["license"]["spdx"]))
    with ProcessPoolExecutor() as pool:
        svgs = [to_svg(job[0], job[1]) for job in jobs]
        pictures = pool.map(render, svgs, chunksize=32)
        rows = [
            {
                "image": {"bytes": picture, "path": None},
                "caption": concept["name"],
                "keywords": concept["keywords"],
                "concept": slug(concept["name"]),
                "group": concept["group"],
                "style": style,
                "source_set": source,
                "license": spdx,
            }
            for picture, (_, _, concept, style, source, spdx) in zip(pictures, jobs, strict=True)
            if picture is not None
        ]
    return rows, notices


def find_by_name(icons: dict, name: str) -> str | None:
    for candidate in (name, FORMER_NAMES.get(name, name)):
        if candidate in icons["icons"] or candidate in icons.get("aliases", {}):
            return candidate
    return None


def to_svg(icons: dict, icon: str) -> str:
    while icon in icons.get("aliases", {}):
        icon = icons["aliases"][icon]["parent"]
    body = icons["icons"][icon]
    width, height = body.get("width", icons["width"]), body.get("height", icons["height"])
    left, top = body.get("left", 0), body.get("top", 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{width}" height="{height}">{body["body"]}</svg>'
    )


def render(svg: str) -> bytes | None:
    """Lossless WebP, 128x128 on white; None where the drawing is empty."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=RESOLUTION, height=RESOLUTION))
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    image = Image.new("RGB", (RESOLUTION, RESOLUTION), "white")
    image.paste(drawn, ((RESOLUTION - drawn.width) // 2, (RESOLUTION - drawn.height) // 2), drawn)
    if np.asarray(image).std() < 1:
        return None
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.getvalue()


def keep_common(rows: list[dict]) -> list[dict]:
    styles: dict[str, int] = {}
    for row in rows:
        styles[row["concept"]] = styles.get(row["concept"], 0) + 1
    kept = [row for row in rows if styles[row["concept"]] >= MIN_STYLES]
    return sorted(kept, key=lambda row: (row["concept"], row["style"]))


def assign_splits(rows: list[dict]) -> list[dict]:
    """Splits by a hash of the name, so that a new concept moves no old one."""
    for row in rows:
        if share(row["concept"]) < CONCEPT_SHARE:
            row["split"] = "concept"
        elif share(f"{row['concept']}/{row['style']}") < COMBO_SHARE:
            row["split"] = "combo"
        else:
            row["split"] = "train"
    return rows


def share(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


if __name__ == "__main__":
    main()
