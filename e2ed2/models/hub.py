"""Checks once whether a name's folder or repository exists, since libraries would retry a hub for half a minute."""

from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from e2ed2.errors import UserError

CONFIG = "config.json"  # every network has one


def network_place(name: str, what: str) -> str:
    """Where libraries find a network: its folder, that of a cached copy if no hub answers, or its id.

    Args:
        name: a folder, or the id of a repository on a hub.
        what: it is to be, for the message.

    Raises:
        UserError: there is no such folder, and no such repository that can be reached.
    """
    if Path(name).is_dir():
        return name
    try:
        validate_repo_id(name)
        check_repository(name)
        return name
    except HFValidationError:
        reason = "no such folder"
    except OSError as error:
        reason = str(error)
        if isinstance(cached := try_to_load_from_cache(name, CONFIG), str):
            return str(Path(cached).parent)
    raise UserError(
        f"There is no {what} {name!r} ({reason}): give its folder, or its id on a hub that can be reached from here."
    )


def check_repository(name: str, kind: Literal["model", "dataset"] = "model") -> None:
    """
    Raises:
        OSError: the hub knows none of that id, or does not answer; its text says which.
        HFValidationError: the name is no id.
    """
    try:
        HfApi().repo_info(name, repo_type=kind, timeout=HF_HUB_ETAG_TIMEOUT)
    except RepositoryNotFoundError as error:
        raise OSError("the hub has none of that name that you may read") from error
    except HfHubHTTPError:
        return  # it exists and is busy: libraries retry
    except (HTTPError, ConnectionError) as error:
        raise OSError("the hub cannot be reached from here") from error
