"""Networks that record how they were built, and are saved with that record, in diffusers' format.

The names are diffusers', too, and `E2ED2Pipeline` tells it that these are models. Diffusers itself is not imported:
that takes seconds, for which sampling, the commands and the pages need not wait.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from e2ed2.models.components import refuse
from e2ed2.models.references import WEIGHTS
from e2ed2.tensors import save_tensors

CONFIG = "config.json"
P = ParamSpec("P")


class Config(dict[str, Any]):
    """The arguments that a network was built with, as items and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def register_to_config(init: Callable[P, None]) -> Callable[P, None]:
    """An `__init__` whose arguments are kept as the `config` of what it builds."""
    signature = inspect.signature(init)

    @wraps(init)
    def build(*args: P.args, **options: P.kwargs) -> None:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        itself, *_ = bound.args
        itself.config = Config(list(bound.arguments.items())[1:])
        init(*args, **options)

    return build


class Placed(nn.Module):
    """Knows where its weights are, and in what precision."""

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


class ModelMixin(Placed):
    """The part of diffusers' class of this name that is used here."""

    config: Config

    def register_to_config(self, **values: Any) -> None:
        """Record settings that were changed after construction."""
        self.config |= values

    @classmethod
    def load_config(cls, folder: Path) -> dict[str, Any]:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new network with untrained weights. Raises TypeError: there is no such option."""
        return cls(**{name: value for name, value in config.items() if not name.startswith("_")})

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *, torch_dtype: torch.dtype | None = None, **options: Any
    ) -> Self:
        """Load a network from its folder, in full precision by default.

        Raises:
            UserError: an option of diffusers is not supported here.
        """
        refuse(options)
        folder = Path(pretrained_model_name_or_path)
        model = cls.from_config(cls.load_config(folder))
        model.load_state_dict(cls.load_weights(folder))
        return model.to(torch_dtype or torch.float32).eval()

    @classmethod
    def load_weights(cls, folder: Path) -> dict[str, Tensor]:
        return load_file(folder / WEIGHTS)

    def save_config(self, folder: Path) -> None:
        about = {"_class_name": type(self).__name__, "_diffusers_version": version("diffusers")}
        (folder / CONFIG).write_text(json.dumps(about | self.config, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def save_pretrained(self, save_directory: Any) -> None:
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.save_config(folder)
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_tensors(weights, folder / WEIGHTS, {"format": "pt"})
