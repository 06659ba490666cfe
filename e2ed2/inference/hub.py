"""Diffusers pipelines by their id on a hub: what is in the cache is loaded from there, even offline."""

import re
from pathlib import Path

from e2ed2.errors import UserError
from e2ed2.models.references import INDEX

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def hub_folder(repository: str) -> Path:
    """The snapshot of a repository such as `stabilityai/sd-turbo`, downloaded as diffusers does it if need be.

    Raises:
        UserError: it is not in the cache, and cannot be downloaded.
    """
    from huggingface_hub import try_to_load_from_cache  # takes half a second, not needed for folders

    if isinstance(index := try_to_load_from_cache(repository, INDEX), str):
        return Path(index).parent
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline  # seconds

    from e2ed2.models.backbones.opening import BROKEN
    from e2ed2.models.hub import check_repository

    try:
        check_repository(repository)
        return Path(DiffusionPipeline.download(repository))
    except BROKEN as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"No model {repository!r}: no folder and no training here is called so, and none can be had from a hub "
            f"({reason}); give a folder, or run `hf download {repository}` where there is a network, and copy its "
            "cache."
        ) from error
