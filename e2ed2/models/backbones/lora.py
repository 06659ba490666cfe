"""Low-rank adapters (Hu et al. 2021) for a network's layers, with peft."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffusers.utils import convert_state_dict_to_diffusers
from torch import Tensor, nn

from e2ed2.errors import UserError
from e2ed2.models.backbones.step_adapters import independent_steps_of, one_of_several

LORA = "lora"  # folder of the adapters alone, beside the pipeline
ADAPTER = "default"


def add_lora(network: nn.Module, rank: int, targets: tuple[str, ...], names: Sequence[str] = (ADAPTER,)) -> None:
    """Freeze the network, and add to each layer whose name ends in a target an adapter that does nothing yet.

    Args:
        names: of the adapters; each layer gets one of each name.

    Raises:
        UserError: no layer has such a name.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds, only needed with adapters

    adapter = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(targets))
    try:
        with one_of_several():
            for name in names:
                inject_adapter_in_model(adapter, network, name)
    except ValueError as error:
        named = sorted({name.split(".")[-1] for name, layer in network.named_modules() if isinstance(layer, nn.Linear)})
        raise UserError(
            f"No layer's name ends in {', '.join(targets)}: choose --lora-targets among {', '.join(named)}."
        ) from error
    for name, weights in network.named_parameters():
        weights.requires_grad_("lora_" in name)  # peft would train the last adapter alone


def bare(network: Any) -> Any:
    """A copy with the adapter merged into the layers; where each step has its own, none is."""
    merge, network = not independent_steps_of(network), copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, layer in list[tuple[str, Any]](parent.named_children()):
            if has_lora(layer) and hasattr(layer, "get_base_layer"):
                if merge:
                    layer.merge()
                setattr(parent, name, layer.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config
    return network.requires_grad_(False)


def save_lora(pipeline: Any, part: str, network: nn.Module, folder: Path) -> bool:
    """Write the adapters as `pipeline.load_lora_weights(folder)` reads them; False if the pipeline supports none.

    Where each step has its own, each is in a file of its name.
    """
    if not hasattr(pipeline, "save_lora_weights"):
        return False
    for adapter in getattr(network, "peft_config", {}):
        weights = {
            name.replace(f".{adapter}.", "."): value.detach().contiguous()
            for name, value in network.state_dict().items()
            if "lora_" in name and f".{adapter}." in name
        }
        layers: Any = {f"{part}_lora_layers": convert_state_dict_to_diffusers(weights)}
        file = None if adapter == ADAPTER else f"{adapter}.safetensors"
        pipeline.save_lora_weights(folder, weight_name=file, **layers)
    return True


def has_lora(network: nn.Module) -> bool:
    return any("lora_" in name for name, _ in network.named_parameters())


def without_adapters(network: nn.Module) -> dict[str, Tensor]:
    """The weights by the names that they have where there are no adapters."""
    weights = network.state_dict().items()
    return {name.replace(".base_layer", ""): value for name, value in weights if "lora_" not in name}


def as_trained(network: Any) -> Any:
    """A copy to publish, without adapters and whatever only training needs."""
    copied = bare(network) if has_lora(network) else copy.deepcopy(network)
    if getattr(copied, "is_gradient_checkpointing", False):
        copied.disable_gradient_checkpointing()
    return copied.eval()
