"""Exports a model's folder as a page's folder."""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2ed2.data.emoji import Concepts, bundled_words
from e2ed2.data.styles import BEST, STYLES
from e2ed2.inference.model import Model
from e2ed2.inference.request import MAX_PROMPT, MAX_SEED, STEPS, model_path
from e2ed2.inference.sampling import load, most_steps
from e2ed2.models.minilm import MiniLM
from e2ed2.reading.captions import knows_colours, readable
from e2ed2.reading.reader import ReaderHead, load_head
from e2ed2.web import MANIFEST
from e2ed2.web.compensating import moments
from e2ed2.web.examples import examples_of
from e2ed2.web.packages import vendored
from e2ed2.web.packing import pack
from e2ed2.web.parts import Judge, graph_of, parts_of
from e2ed2.web.tables import reader_table, text_table, token_rows, tokenizer_table

PAGE = Path(__file__).parent / "page"
WORKER = "sw.js"
# Bits below a matrix's root mean square (`packing.pack`); measured: docs/web.md.
PRECISION = {"text": 8.8, "coarse": 8.8, "step": 8.2, "decoder": 8.6, "reader": 5.0}


@dataclass(frozen=True)
class Source:
    """What to export: a model, and the reader if the model learned the names that the reader knows."""

    pipeline: Model
    head: ReaderHead | None
    concepts: Concepts | None
    colours: bool = False  # the model has seen things in other colours than their own

    @property
    def judge(self) -> Judge | None:
        return Judge(self.head, self.concepts) if self.head and self.concepts else None


def write_page(model: str, out: Path) -> Iterator[str]:
    """Write the page into `out` atomically; yields a line about each thing done.

    Raises:
        UserError: npm cannot fetch what the page runs on, or the model is damaged.
    """
    vendor = vendored()
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield from _write_whole(model, partial, vendor)
        shutil.rmtree(out, ignore_errors=True)
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    yield f"{out}: {_size(out)} in all"


def _write_whole(model: str, partial: Path, vendor: dict[str, bytes]) -> Iterator[str]:
    shutil.copytree(PAGE, partial, ignore=shutil.ignore_patterns("__pycache__"))
    _write_vendor(partial, vendor)
    yield f"onnxruntime and tokenizer: {_size(partial / 'vendor')}"
    folder = model_path(model)
    source = _open(model, folder)
    _write_tables(partial, source)
    for file in _write_graphs(partial, source):
        yield f"{file.name.partition('.')[0]}: {_size(file)}"
    if (folder / "README.md").is_file():
        shutil.copy(folder / "README.md", partial / "MODEL.md")
    _describe(partial, Path(model).name, source)


def _open(model: str, folder: Path) -> Source:
    pipeline = load(model, device="cpu")
    if not readable(folder):
        return Source(pipeline, None, None)
    return Source(pipeline, load_head(), Concepts(bundled_words(), pipeline.text_encoder), knows_colours(folder))


def _write_vendor(page: Path, files: dict[str, bytes]) -> None:
    for beside, content in files.items():
        (page / beside).parent.mkdir(parents=True, exist_ok=True)
        if beside.endswith(".wasm"):
            _write_packed(page / beside, content)
        else:
            (page / beside).write_bytes(content)


def _write_tables(page: Path, source: Source) -> None:
    tables: dict[str, Any] = {"tokenizer": tokenizer_table(), "text": text_table()}
    if source.head and source.concepts:
        tables["reader"] = reader_table(source.head, source.concepts)
    for name, table in tables.items():
        _write_packed(page / "data" / f"{name}.json", json.dumps(table, ensure_ascii=False).encode())


def _write_graphs(page: Path, source: Source) -> Iterator[Path]:
    encoder = source.pipeline.text_encoder
    assert isinstance(encoder, MiniLM)  # true of all models of this project
    rows = token_rows(encoder, source.concepts)
    for part in parts_of(source.pipeline, source.judge):
        graph = graph_of(part, encoder.max_tokens)
        precision = PRECISION[part.name.partition("-")[0]]
        if part.name == "text":
            pack(graph, precision, **rows, seen=moments(part.module, examples_of(encoder)))
        else:
            pack(graph, precision)
        yield _write_packed(page / "data" / f"{part.name}.onnx", graph.SerializeToString())


def _write_packed(file: Path, content: bytes) -> Path:
    """Write the content compressed, whatever the host does; not named .gz, since some hosts would unpack that."""
    file.parent.mkdir(parents=True, exist_ok=True)
    packed = file.with_name(file.name + ".bin")
    packed.write_bytes(gzip.compress(content, 9, mtime=0))
    return packed


def _describe(folder: Path, called: str, source: Source) -> None:
    """Write the manifest, and last the version, by which a browser recognises a new page."""
    pipeline = source.pipeline
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode() + file.read_bytes())
    denoiser = pipeline.denoiser
    manifest = {
        "version": digest.hexdigest()[:16],
        "model": called,
        "steps": list(range(STEPS[0], most_steps(pipeline) + 1)),
        "transformers": len(denoiser.transformers),
        "shape": denoiser.latent_shape,
        "side": denoiser.latent_shape[1] * pipeline.codec.factor,
        "reads": source.head is not None,
        "colours": source.colours,
        "styles": STYLES,
        "best": BEST,
        "most_tokens": pipeline.text_encoder.max_tokens,
        "most_characters": MAX_PROMPT,
        "last_seed": MAX_SEED,
        "files": {file.relative_to(folder).as_posix(): file.stat().st_size for file in sorted(folder.rglob("*.bin"))},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    card = folder / "README.md"
    card.write_text(
        card.read_text("utf-8").replace('"TITLE"', json.dumps(f"E2ED² {called}", ensure_ascii=False)), "utf-8"
    )
    worker = folder / WORKER
    script = worker.read_text().replace('"VERSION"', json.dumps(manifest["version"]))
    worker.write_text(script.replace('["SHELL"]', json.dumps(["./", *_shell(folder)])))


def _shell(folder: Path) -> list[str]:
    """The page's own small files, except those meant for the people who host it."""
    kinds = (".html", ".css", ".js", ".mjs", ".json", ".svg")
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in kinds and file.name != WORKER)
    return [file.relative_to(folder).as_posix() for file in files]


def _size(place: Path) -> str:
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
