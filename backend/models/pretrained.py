"""Call transformers' `from_pretrained` on a model's folder, and turn whatever it raises into our errors."""

from pathlib import Path
from typing import Any

from backend.contract.errors import ModelError, is_failure, shown
from backend.models.config import path_shown
from backend.models.memory import is_out_of_memory
from backend.models.memory_check import memory_need, too_large
from backend.models.own_code import refuse_own_code
from backend.models.resolve import Resolved

LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def from_pretrained(resolved: Resolved, what: str, reader: Any, **settings: Any) -> Any:
    """What `reader.from_pretrained` returns for the folder. `what` names it in the error: "its tokenizer".

    transformers checks little, so a bad config may raise anything. Raises ModelError, and ResourceError if memory ran
    out.
    """
    from backend.models.silent_transformers import silent_transformers  # transformers takes seconds to import

    try:
        with silent_transformers():
            return reader.from_pretrained(resolved.folder, **LOCAL, **settings)
    except BaseException as error:
        if not is_failure(error):
            raise
        if is_out_of_memory(error):
            raise too_large(resolved, memory_need(resolved)) from error
        message = str(error).partition(" For details")[0]  # the details are in a log that is silenced here
        if message.startswith("Unrecognized configuration class"):
            raise unusable(
                resolved, "transformers has no model of its type that goes on with a text"
            ) from error
        reason = " ".join(f"{type(error).__name__}: {message}".split())
        raise unusable(resolved, f"{what} cannot be read ({shown(reason, 300)})") from error


def pretrained_config(resolved: Resolved) -> Any:
    """The transformers config of a model that is downloaded. Raises ModelError."""
    from transformers import AutoConfig

    if resolved.folder is not None:
        refuse_own_code(resolved.folder)
    return from_pretrained(resolved, "its config", AutoConfig)


def unusable(resolved: Resolved, reason: str) -> ModelError:
    """The error that says why the model in a folder cannot be loaded."""
    where = "" if resolved.name == str(resolved.folder) else f" from {path_shown(resolved.folder)}"
    return ModelError(
        f"{path_shown(Path(resolved.name))} cannot be loaded{where}: {reason}. "
        "Fetch the model again, or choose another."
    )
