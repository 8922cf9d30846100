"""Two grids, layer by token, whose cells can be put from one into the other; drawn by patch_grids.js."""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components.roles import TINTS, kind_of
from app.figures.lens_grids import LensGrid, Letters, Words
from backend.contract.errors import LetterheadsError
from backend.contract.stream_patch import StreamPatch

_HERE = Path(__file__).parent
_MOUNT = st.components.v2.component(
    "letterheads_patch_grids",
    html=(_HERE / "patch_grids.html").read_text("utf-8"),
    css=(_HERE / "patch_grids.css").read_text("utf-8"),
    js=(_HERE / "patch_grids.js").read_text("utf-8"),
)
ARRAYS = ("lead", "leadBefore", "best", "bestBefore")
WORDS = ("word", "chance")
Says = Sequence[tuple[str, bool]]
"""A line's parts, each with whether it is strong."""


def show_grids(
    title: str,
    grids: Sequence[LensGrid],
    names: Sequence[str],
    says: Sequence[Says],
    *,
    depths: Sequence[str],
    labels: Sequence[str],
    letters: Letters,
    scale: float,
    words: Sequence[Words] = (),
    on_block: Callable[[StreamPatch], None],
    on_undo: Callable[[], None],
) -> None:
    """Draw both, with `words` the likeliest token in each cell in place of the letter.

    `on_block` is called with what is put from one into the other, `on_undo` to take the last one back.
    """

    def put() -> None:
        block = st.session_state["patch grids"].block
        try:
            patch = StreamPatch.from_json(block)
        except LetterheadsError:
            return  # what the browser sent is no block
        on_block(patch)

    header: dict[str, Any] = {
        "title": title,
        "unit": "logits between the two letters",
        "rows": list(depths),
        "labels": list(labels),
        "high": labels[letters.high],
        "low": labels[letters.low],
        "range": scale,
        "kinds": TINTS,
        "arrays": [*ARRAYS, *(WORDS if words else ())],
        "grids": [_told(grid, name, parts) for grid, name, parts in zip(grids, names, says, strict=True)],
    }
    for told, one in zip(header["grids"], words, strict=False):
        told["texts"] = list(one.texts)
    _MOUNT(
        key="patch grids",
        data=packed(header, grids, words),
        on_block_change=put,
        on_undo_change=on_undo,
    )


def packed(header: dict[str, Any], grids: Sequence[LensGrid], words: Sequence[Words] = ()) -> bytes:
    """One piece of bytes for patch_grids.js: header length, JSON header padded to 4 bytes, each grid's numbers."""
    text = json.dumps(header, ensure_ascii=True).encode("ascii")
    text += b" " * (-len(text) % 4)
    numbers = b""
    for number, grid in enumerate(grids):
        arrays = [grid.lead, grid.lead_before, grid.best, grid.best_before]
        if words:
            arrays += [words[number].index, words[number].chance]
        numbers += b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)
    return struct.pack("<I", len(text)) + text + numbers


def _told(grid: LensGrid, name: str, says: Says) -> dict[str, Any]:
    first = grid.positions[0]
    return {
        "run": grid.run,
        "name": name,
        "says": [list(part) for part in says],
        "tokens": list(grid.tokens),
        "roles": [kind_of(role) for role in grid.roles],
        "positions": list(grid.positions),
        "counterparts": list(grid.counterparts),
        "blocks": [[top, bottom, left - first, right - first] for top, bottom, left, right in grid.blocks],
    }
