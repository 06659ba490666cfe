"""A model's folder: which components it holds itself, which it shares, and what diffusers reads of it.

`components.json` names each shared component, `codec` or `coarse`, by the SHA-256 of its weights,
`{"shared": "<hash>"}`: it is beside the model or among the bundled ones. Or it names a repository of a hub,
`{"hub": "someone/codec", "revision": "<commit>"}`, or, for the coarse path, the model beside it whose file has it,
`{"model": "energy"}`. A folder without that file may be older than it: what it lacks is beside it, and no bundled one
is put in its place.
"""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError

from e2ed2.assets import CHECKPOINTS
from e2ed2.errors import UserError
from e2ed2.models.references import INDEX, MANIFEST, WEIGHTS

PIPELINE = "e2ed2_pipeline"  # the module beside it that has the pipeline's class
COMPONENTS = {
    "denoiser": ("e2ed2.models.coarse_to_fine", "CoarseToFineDenoiser"),
    "codec": ("e2ed2.models.codec", "Codec"),
    "text_encoder": ("e2ed2.models.minilm", "MiniLM"),
}
SHARED = {"codec", "coarse"}  # components that may be missing from a folder
FORMS = ({"shared"}, {"hub"}, {"hub", "revision"}, {"model"})  # the keys that a manifest entry may have
WAYS = ("low_cpu_mem_usage", "use_safetensors", "local_files_only", "disable_mmap")  # these load the same weights
MODULE = '''"""The pipeline's class, for `DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)`."""

from importlib import import_module

try:
    E2ED2Pipeline = import_module("e2ed2.inference.pipeline").E2ED2Pipeline
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"This model needs the package e2ed2 ({error}): run `pip install .` in a copy of its repository."
    ) from error
'''


def write_index(folder: Path, components: Mapping[str, Any] = COMPONENTS) -> None:
    """Make a model's folder one that diffusers loads. `components`: the module and the class of each."""
    index = {"_class_name": [PIPELINE, "E2ED2Pipeline"], "_diffusers_version": version("diffusers")}
    index |= {name: list(components[name]) for name in components}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
    (folder / f"{PIPELINE}.py").write_text(MODULE)


def shared(folder: Path, component: str) -> Path:
    """The folder of a component missing from a model: on a hub; beside it, else the bundled one with that hash.

    Raises:
        UserError: there is none, only another one, or the folder's manifest is damaged or cannot be understood.
    """
    entries = manifest(folder)
    entry = (entries or {}).get(component, {})
    if "hub" in entry:
        return from_hub(entry["hub"], entry.get("revision"))
    if entries is not None and not entry:
        raise UserError(
            f"The model at {folder} has no {component}, and its {MANIFEST} names none: copy the model again, or add it."
        )
    wanted = entry.get("shared", "")
    places = [folder.parent / component, *([CHECKPOINTS / component] if wanted else [])]
    if "model" in entry:
        places = [folder.parent / entry["model"] / "denoiser"]
    for place in places:
        if (place / WEIGHTS).is_file() and (not wanted or digest(place / WEIGHTS) == wanted):
            return place
    raise UserError(
        f"The model at {folder} shares its {component}{f' (SHA-256 {wanted[:12]}…)' if wanted else ''}, which is "
        f"{'neither beside it nor bundled' if wanted else 'not beside it'}: copy that folder too, or make a whole copy "
        "with `python -m e2ed2 export`."
    )


def manifest(folder: Path) -> dict[str, dict[str, str]] | None:
    """The manifest's entry for each component that a folder shares; None if it has no manifest.

    Raises:
        UserError: the file is damaged, or has a component or an entry that is none of those above.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return None
    with as_damaged(folder):
        entries = {component: dict(entry) for component, entry in json.loads(file.read_text()).items()}
    for component, entry in entries.items():
        if not understood(component, entry):
            raise UserError(
                f"{file} cannot be understood at {json.dumps({component: entry})}: it may name codec and coarse, each "
                'by {"shared": SHA-256} or {"hub": ID, "revision": COMMIT}; coarse also by {"model": NAME}.'
            )
    return entries


def understood(component: str, entry: dict[str, Any]) -> bool:
    return (
        component in SHARED
        and set(entry) in FORMS
        and all(isinstance(value, str) and value for value in entry.values())
        and ("model" not in entry or component == "coarse")
    )


def from_hub(repository: str, revision: str | None = None, **options: Any) -> Path:
    """The local copy of a repository, downloaded if need be. `options` are those of `snapshot_download`.

    Raises:
        UserError: there is no such repository or revision, or it cannot be reached.
    """
    try:
        return Path(snapshot_download(repository, revision=revision, **options))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        at = f" at revision {revision}" if revision else ""
        raise UserError(f"No model at {repository}{at}: give a model's folder, or the id of one on a hub.") from error


def refuse(options: Mapping[str, Any]) -> None:
    """Raises UserError: an option passed on by diffusers would change what is loaded."""
    if refused := sorted(name for name, value in options.items() if value and name not in WAYS):
        raise UserError(f"Parts of this model cannot be loaded with {', '.join(refused)}: leave it out.")


@contextmanager
def as_damaged(folder: Path) -> Generator[None]:
    """Turn what libraries raise for a damaged file in a model's folder into a UserError that names the folder."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(f"The model at {folder} is damaged: copy it again, or train it anew.") from error


@cache
def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
