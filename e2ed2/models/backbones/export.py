"""A trained backbone as a folder that diffusers alone loads: its own pipeline's, with the scheduler of our chain."""

from pathlib import Path
from typing import Any

from e2ed2.models.backbones.backbone import Backbone
from e2ed2.models.backbones.lora import LORA, as_trained, has_lora, save_lora
from e2ed2.models.backbones.stock import stock_scheduler
from e2ed2.models.references import INDEPENDENT, UNGUIDED
from e2ed2.tensors import as_readable_as_its_folder


def save_pipeline(pipeline: Any, backbone: Backbone, folder: Path, steps: int | None = None) -> None:
    """Write `pipeline` with the backbone's network; adapters are merged into it, and written by themselves too.

    Where each step has its own adapter, the network is as it was before the training, and the index says how many.

    Args:
        steps: the only number of steps it was trained for, if there is one.
    """
    part = backbone.family.part
    network = as_trained(backbone.network)
    components = pipeline.components | {
        part: network,
        "scheduler": stock_scheduler(backbone, pipeline.scheduler, steps),
    }
    whole = type(pipeline)(**components, **settings(pipeline))
    whole.register_to_config(**{UNGUIDED: True})
    if backbone.only_steps:
        whole.register_to_config(**{INDEPENDENT: backbone.only_steps})
    whole.save_pretrained(folder)
    if has_lora(backbone.network):
        save_lora(pipeline, part, backbone.network, folder / LORA)
    for file in folder.rglob("*.safetensors"):
        as_readable_as_its_folder(file)


def settings(pipeline: Any) -> dict[str, Any]:
    """Arguments of the pipeline's class that are not components, such as whether a safety checker is required."""
    known = {
        *pipeline.components,
        UNGUIDED,
        INDEPENDENT,
        "_class_name",
        "_diffusers_version",
        "_name_or_path",
        "_quantization_config",
    }
    return {name: value for name, value in pipeline.config.items() if name not in known}
