"""Which models there are, what each can do, and the loaded ones."""

import csv
import json
from pathlib import Path
from threading import Lock

from app.look.names import DESCRIPTIONS
from app.look.words import counted
from e2ed2.assets import CHECKPOINTS
from e2ed2.data.config import BUNDLED
from e2ed2.files import runs_folder
from e2ed2.inference.device import pick_device
from e2ed2.inference.model import Model
from e2ed2.inference.request import STEPS, available_models
from e2ed2.models.base import Codec, TextEncoder
from e2ed2.models.minilm import MiniLM
from e2ed2.models.weights import load_codec, load_denoiser

FAVOURITES = ("lpips", "l2-lpips-gan", "energy", "l2-lpips")  # what is read is recognised most often in the first's
VARIED = "energy"  # whose pictures of one prompt differ most
OWN = "own"  # a visitor's finished training is the model `own/<name>`


class Models:
    """Bundled models and finished trainings, found anew at each look; each is loaded when first asked for."""

    def __init__(self, checkpoints: Path | None = None, runs: Path | None = None):
        self.checkpoints, self.runs = checkpoints or CHECKPOINTS, runs or runs_folder()
        self.device = pick_device()
        self._loading = Lock()
        self._encoder: TextEncoder | None = None
        self._codecs: dict[Path, Codec] = {}
        self._pipelines: dict[str, Model] = {}

    def folders(self) -> dict[str, Path]:
        own = {
            f"{OWN}/{path.parents[1].name}": path.parent for path in sorted(self.runs.glob(f"{OWN}/*/model/denoiser"))
        }
        return available_models(self.checkpoints) | own

    def names(self) -> list[str]:
        return list(self.folders())

    def favourite(self) -> str | None:
        names = self.names()
        return next((name for name in (*FAVOURITES, *names) if name in names), None)

    def choices(self) -> list[tuple[str, str]]:
        """What a visitor reads, and the name."""
        return [(f"{name}: {DESCRIPTIONS[name]}" if name in DESCRIPTIONS else name, name) for name in self.names()]

    def plain_choices(self) -> list[tuple[str, str]]:
        """The same, but the first two, where there are both, by what a visitor may want."""
        plain = {self.favourite(): "Best picture", VARIED: "Most variety"}
        first = [(f"{said} ({name})", name) for name, said in plain.items() if name in self.names()]
        return first + [one for one in self.choices() if one[1] not in plain]

    def steps(self, name: str) -> tuple[int, ...]:
        """The step counts that the model was made for."""
        config = json.loads((self.folders()[name] / "denoiser" / "config.json").read_text())
        return (config["steps"],) if config.get("sharing") == "independent" else STEPS

    def of_steps(self, count: int) -> tuple[str, ...]:
        """The bundled models that can take that number of steps."""
        return tuple(name for name in available_models(self.checkpoints) if count in self.steps(name))

    def only(self, name: str) -> str:
        """Said where a model takes one number of steps; empty for one that takes any."""
        possible = self.steps(name)
        return "" if len(possible) > 1 else f"{name} was made for {counted(possible[0], 'step')} only."

    def captions(self, name: str) -> list[str] | None:
        """Of the pictures that a visitor's model learned from; None where these are the bundled ones."""
        run = self.folders()[name] / "run.json"
        data = json.loads(run.read_text())["config"]["data"] if run.is_file() else {"path": BUNDLED}
        table = Path(data["path"]) / "metadata.csv"
        if data["path"] == BUNDLED or not table.is_file():
            return None
        with open(table, newline="") as file:
            return sorted({row[data["caption_column"]] for row in csv.DictReader(file)})

    def encoder(self) -> TextEncoder:
        with self._loading:
            return self._shared_encoder()

    def load(self, name: str) -> Model:
        """Raises UserError: its files are damaged."""
        with self._loading:
            if name not in self._pipelines:
                folder = self.folders()[name]
                pipeline = Model(load_denoiser(folder), self._codec(folder), self._shared_encoder())
                self._pipelines[name] = pipeline.to(self.device)
            return self._pipelines[name]

    def forget(self, name: str) -> None:
        """Free its memory; what it shares with others stays."""
        with self._loading:
            self._pipelines.pop(name, None)

    def _shared_encoder(self) -> TextEncoder:
        self._encoder = self._encoder or MiniLM()
        return self._encoder

    def _codec(self, folder: Path) -> Codec:
        """Models beside each other share one."""
        home = folder if (folder / "codec").is_dir() else folder.parent
        if home not in self._codecs:
            self._codecs[home] = load_codec(folder)
        return self._codecs[home]
