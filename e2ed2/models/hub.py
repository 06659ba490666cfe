"""Is a name's folder or repository there? Asked once, before libraries that would try a hub for half a minute."""

from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, RepositoryNotFoundError

from e2ed2.errors import UserError

CONFIG = "config.json"  # of every network


def check_network(name: str, what: str) -> None:
    """
    Args:
        name: a folder, or the id of a repository on a hub; what is kept of one is not asked for.
        what: it is to be, for the message.

    Raises:
        UserError: there is no such folder, and no such repository that can be reached.
    """
    if Path(name).is_dir():
        return
    try:
        if not isinstance(try_to_load_from_cache(name, CONFIG), str):
            check_repository(name)
    except (OSError, HFValidationError) as error:
        reason = "no such folder" if isinstance(error, HFValidationError) else error
        raise UserError(
            f"There is no {what} {name!r} ({reason}): give its folder, or its id on a hub that can be reached from "
            "here."
        ) from error


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
        return  # it is there and busy: libraries ask again
    except (HTTPError, ConnectionError) as error:
        raise OSError("the hub cannot be reached from here") from error
