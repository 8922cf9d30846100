"""A model folder's config.json, read with suspicion before transformers sees it."""

import json
from pathlib import Path

from backend.errors import ModelError, shown


def path_shown(path: Path | None) -> str:
    """A path as it appears in a message: whole, since its end tells most."""
    return shown(str(path), limit=500)


def refuse_remote_code(folder: Path) -> None:
    """Raise ModelError for a folder without a readable config, or one whose model is code of its own."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path_shown(folder)} has no config.json, so it is not a model's folder."
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path_shown(file)} cannot be read. Fetch the model again.") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise ModelError(f"{path_shown(file)} names no model_type, so the model is not known.")
    if "auto_map" in config:
        raise ModelError(
            f"{path_shown(folder)} brings its own code (auto_map in config.json), which is never run "
            "here. Use a model that transformers knows by itself."
        )
