"""Models whose config names code of their publisher. It is never run: transformers' own model of the type is loaded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.contract.errors import ModelError, shown
from backend.models.config import path_shown


def own_code(folder: Path) -> tuple[str, ...]:
    """The files of code that a folder's config names (`auto_map`), such as `modeling_x.py`; none if it names none."""
    named = _config(folder).get("auto_map")
    if named is None:
        return ()
    places = named.values() if isinstance(named, dict) else (named,)
    modules = (text.rpartition("--")[2].partition(".")[0] for place in places for text in _texts(place))
    return tuple(dict.fromkeys(f"{module}.py" for module in modules if module)) or ("auto_map",)


def refuse_own_code(folder: Path) -> None:
    """Raises ModelError where only the publisher's code knows the model's type. Imports transformers."""
    if not (files := own_code(folder)):
        return
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    kind = _config(folder).get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f"{path_shown(folder)} brings its own code ({', '.join(files)}, by auto_map in config.json), which is "
            f"never run here, and transformers has no model of type {shown(kind)} that goes on with a text. Use a "
            "model that transformers knows by itself."
        )


def code_notes(folder: Path | None) -> tuple[str, ...]:
    """What a user should know of a model whose publisher's code was not run, in one sentence; none for others."""
    files = own_code(folder) if folder else ()
    if not files:
        return ()
    kind = _config(folder).get("model_type") if folder else None
    return (
        f"The publisher's own code ({', '.join(files)}) is not run: this is transformers' model of type {shown(kind)} "
        "with the published weights.",
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
