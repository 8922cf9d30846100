"""What transformers makes of a model's folder, and what is said where it makes nothing of it."""

from pathlib import Path
from typing import Any

from backend.contract.errors import ModelError, shown
from backend.models.config import path_shown
from backend.models.memory import is_out_of_memory
from backend.models.resolve import Resolved
from backend.models.room import room_for, too_large

HERE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def read(resolved: Resolved, what: str, reader: Any, **settings: Any) -> Any:
    """What one of transformers' classes makes of the folder. It checks little: a bad config may raise anything.

    Raises ModelError, and ResourceError where the memory ran out.
    """
    from backend.models.quiet import quiet  # transformers takes seconds to import

    try:
        with quiet():
            return reader.from_pretrained(resolved.folder, **HERE, **settings)
    except Exception as error:
        if is_out_of_memory(error):
            raise too_large(resolved, room_for(resolved)) from error
        told = str(error).partition(" For details")[0]  # they stand in a report that is not shown
        reason = " ".join(f"{type(error).__name__}: {told}".split())
        raise unusable(resolved, f"{what} cannot be read ({shown(reason, 300)})") from error


def read_config(resolved: Resolved) -> Any:
    """What transformers makes of the config of a model that is here. Raises ModelError."""
    from transformers import AutoConfig

    return read(resolved, "its config", AutoConfig)


def unusable(resolved: Resolved, reason: str) -> ModelError:
    """The error that says why a folder's model cannot be loaded."""
    where = "" if resolved.name == str(resolved.folder) else f" from {path_shown(resolved.folder)}"
    return ModelError(
        f"{path_shown(Path(resolved.name))} cannot be loaded{where}: {reason}. "
        "Fetch the model again, or choose another."
    )
