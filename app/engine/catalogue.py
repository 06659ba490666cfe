"""Which models there are, what each can do, and the loaded ones."""

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from PIL import Image

from app.engine.added import AddedPipeline
from app.look.names import DESCRIPTIONS
from app.look.words import counted
from e2ed2.assets import CHECKPOINTS
from e2ed2.data.config import BUNDLED, is_bundled
from e2ed2.device import pick_device
from e2ed2.errors import UserError
from e2ed2.files import runs_folder
from e2ed2.inference.model import Model
from e2ed2.inference.request import MAX_STEPS, STEPS, Request, available_models, is_stock
from e2ed2.inference.sampling import sample_image
from e2ed2.models.base import Codec, TextEncoder
from e2ed2.models.minilm import MiniLM
from e2ed2.models.references import independent_steps
from e2ed2.models.weights import load_codec, load_denoiser
from e2ed2.types import TrajectoryStep

# The first looks cleanest, and its pictures are recognised as what was asked for as often as any model's.
FAVOURITES = ("l2-lpips-gan", "lpips", "energy", "l2-lpips")
VARIED = "energy"  # the model whose pictures of one prompt differ most
OWN = "own"  # a visitor's finished training is the model `own/<name>`


class Models:
    """Bundled models and finished trainings, listed afresh at each call; each is loaded when first needed."""

    def __init__(
        self, checkpoints: Path | None = None, runs: Path | None = None, added: Mapping[str, Path] | None = None
    ):
        """`added`: as in `ServerSettings`."""
        self.checkpoints, self.runs, self.added = checkpoints or CHECKPOINTS, runs or runs_folder(), added or {}
        self.device = pick_device()
        self._loading = Lock()
        self._encoder: TextEncoder | None = None
        self._codecs: dict[Path, Codec] = {}
        self._pipelines: dict[str, Model] = {}
        self._stock: tuple[str, AddedPipeline] | None = None  # one at a time: they are large

    def folders(self) -> dict[str, Path]:
        own = {
            f"{OWN}/{path.parents[1].name}": path.parent for path in sorted(self.runs.glob(f"{OWN}/*/model/denoiser"))
        }
        return available_models(self.checkpoints) | own | dict(self.added)

    def names(self) -> list[str]:
        return list(self.folders())

    def ours(self, name: str) -> bool:
        """Whether it is one of this project's models, whose chain can be inspected and which can be trained further."""
        return not is_stock(self.folders()[name])

    def favourite(self) -> str | None:
        names = self.names()
        return next((name for name in (*FAVOURITES, *names) if name in names), None)

    def choices(self) -> list[tuple[str, str]]:
        """Pairs of what a visitor reads and the model's name."""
        return [(f"{name}: {DESCRIPTIONS[name]}" if name in DESCRIPTIONS else name, name) for name in self.names()]

    def our_choices(self) -> list[tuple[str, str]]:
        return [one for one in self.choices() if self.ours(one[1])]

    def plain_choices(self) -> list[tuple[str, str]]:
        """The same, except that the first two, if both exist, are labelled by what a visitor may want."""
        plain = {self.favourite(): "Best picture", VARIED: "Most variety"}
        first = [(f"{words} ({name})", name) for name, words in plain.items() if name in self.names()]
        return first + [one for one in self.choices() if one[1] not in plain]

    def steps(self, name: str) -> tuple[int, ...]:
        """The step counts that the model was made for; most diffusers pipelines take any."""
        folder = self.folders()[name]
        if is_stock(folder):
            only = independent_steps(folder)
            return (only,) if only else tuple(range(1, MAX_STEPS + 1))
        config = json.loads((folder / "denoiser" / "config.json").read_text())
        return (config["steps"],) if config.get("sharing") == "independent" else STEPS

    def of_steps(self, count: int) -> tuple[str, ...]:
        """The bundled models that can take that number of steps."""
        return tuple(name for name in available_models(self.checkpoints) if count in self.steps(name))

    def only(self, name: str) -> str:
        """A note on a model that takes a single number of steps; empty for one that takes any."""
        possible = self.steps(name)
        return "" if len(possible) > 1 else f"{name} was made for {counted(possible[0], 'step')} only."

    def captions(self, name: str) -> list[str] | None:
        """Captions of the pictures that a visitor's model learned from; None if these are the bundled ones."""
        run = self.folders()[name] / "run.json"
        data = json.loads(run.read_text())["config"]["data"] if run.is_file() else {"path": BUNDLED}
        table = Path(data["path"]) / "metadata.csv"
        if is_bundled(data["path"]) or not table.is_file():
            return None
        with open(table, newline="") as file:
            return sorted({row[data["caption_column"]] for row in csv.DictReader(file)})

    def encoder(self) -> TextEncoder:
        with self._loading:
            return self._shared_encoder()

    def load(self, name: str) -> Model:
        """Raises UserError: its files are damaged, or it is not one of this project's models."""
        with self._loading:
            if name not in self._pipelines:
                folder = self.folders()[name]
                if is_stock(folder):
                    raise UserError(
                        f"{name} is a diffusers pipeline, whose steps cannot be looked into: choose another."
                    )
                pipeline = Model(load_denoiser(folder), self._codec(folder), self._shared_encoder())
                self._pipelines[name] = pipeline.to(self.device)
            return self._pipelines[name]

    def get_ready(self, name: str) -> None:
        """Load a model of either kind. Raises UserError: its files are damaged."""
        if self.ours(name):
            self.load(name)
        else:
            self._pipeline(name)

    def sampled(self, request: Request, look: Callable[[TrajectoryStep | None], None] | None = None) -> Image.Image:
        """`look` gets every step of one of our models; for other models it is called with None after each step."""
        if self.ours(request.model):
            return sample_image(self.load(request.model), request, look)
        tell = (lambda: look(None)) if look else lambda: None
        return self._pipeline(request.model).image(request, tell)

    def _pipeline(self, name: str) -> AddedPipeline:
        with self._loading:
            if self._stock is None or self._stock[0] != name:
                self._stock = None  # frees its memory before the next one is loaded
                self._stock = name, AddedPipeline(self.folders()[name], str(self.device))
            return self._stock[1]

    def forget(self, name: str) -> None:
        """Free its memory; what it shares with other models stays."""
        with self._loading:
            self._pipelines.pop(name, None)
            if self._stock and self._stock[0] == name:
                self._stock = None

    def _shared_encoder(self) -> TextEncoder:
        self._encoder = self._encoder or MiniLM()
        return self._encoder

    def _codec(self, folder: Path) -> Codec:
        """Models in the same parent folder share one codec."""
        home = folder if (folder / "codec").is_dir() else folder.parent
        if home not in self._codecs:
            self._codecs[home] = load_codec(folder)
        return self._codecs[home]
