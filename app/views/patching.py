"""What changes the answer: activation patching of one component, cell by cell."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app.components.frame import open_page, show_question
from app.components.heatmap import Heatmap, head_grid, show_heatmap
from app.components.job import result_of
from app.components.notice import quiet, sentence
from app.components.patch_choice import choose_corruption, choose_metric
from app.components.provenance import show_provenance
from app.figures.patched import effect, effect_name
from app.navigation import open_head
from app.patching_names import (
    COMPONENTS,
    DIRECTIONS,
    POSITIONS,
    SHOWN,
    WITHOUT_HEADS,
)
from app.selection import Selection
from app.state import bound, change
from backend.results.result import Result

Values = NDArray[np.float32]
HOW_TO_READ = {
    "denoise": "A clean activation is put into the corrupted run. Share recovered: 1 brings the clean answer back by "
    "itself, 0 changes nothing. What is far from 0 suffices.",
    "noise": "A corrupted activation is put into the clean run. Share lost: 1 takes the clean answer away by itself, "
    "0 changes nothing. What is far from 0 is necessary.",
}


def controls(selection: Selection) -> dict[str, Any] | None:
    """Draw them; the request's params, or None while the corrupted prompt is still to be written."""
    chosen = selection.chosen
    first = st.container(horizontal=True, vertical_alignment="bottom")
    corruption = choose_corruption(first, selection)
    first.selectbox(
        "Component",
        COMPONENTS,
        format_func=COMPONENTS.__getitem__,
        width=270,
        **bound("component", chosen.component),
    )
    first.segmented_control(
        "Direction",
        DIRECTIONS,
        format_func=DIRECTIONS.__getitem__,
        required=True,
        help="Denoise: a clean activation into the corrupted run. Noise: the reverse.",
        **bound("direction", chosen.direction),
    )
    second = st.container(horizontal=True, vertical_alignment="bottom")
    metric = choose_metric(second, selection)
    second.segmented_control(
        "Where",
        POSITIONS,
        format_func=POSITIONS.__getitem__,
        required=True,
        help="All tokens takes minutes for components with heads.",
        **bound("where", chosen.where),
    )
    second.segmented_control(
        "Show", SHOWN, format_func=SHOWN.__getitem__, required=True, **bound("shown", chosen.shown)
    )
    if corruption is None:
        return None
    return {
        "corruption": corruption,
        "component": chosen.component,
        "direction": chosen.direction,
        "metric": metric,
        "positions": chosen.where,
    }


def show_runs(result: Result) -> None:
    scalars = result.scalars
    unit = result.arrays["values"].unit
    sentence(
        "Clean run: ",
        f"{scalars['clean']:+.3f} {unit}",
        ". Corrupted run (",
        str(scalars["corruption"]),
        "): ",
        f"{scalars['corrupted']:+.3f} {unit}",
        f". The prompts first differ at token {scalars['first_difference'] + 1}.",
        key="runs",
    )


def name_of(result: Result, selection: Selection) -> str:
    shown = effect_name(selection.chosen.direction, selection.chosen.shown)
    return f"{shown}: {COMPONENTS[selection.chosen.component]}, {selection.chosen.direction}"


def show_heads(result: Result, values: Values, selection: Selection) -> None:
    """Layer x head at one position; with several positions, beside it layer x position of the strongest head."""
    positions = result.scalars["positions"]
    tokens = result.ticks["position"]
    place = len(positions) - 1
    if len(positions) > 1:
        if selection.chosen.place in positions:
            place = positions.index(selection.chosen.place)
        strongest = np.take_along_axis(values, np.abs(values).argmax(1)[:, None], 1)[:, 0]
        show_positions(
            result,
            strongest,
            selection,
            "the head that does most",
            lambda _, column: change(place=positions[column]),
        )
        st.caption("Each cell holds its strongest head. Click one to see the heads at its token below.")
    grid = head_grid(
        f"{name_of(result, selection)}, at token {positions[place] + 1}, {tokens[place].strip()!r}",
        unit_of(result, selection),
        values[:, :, place],
        diverging=True,
    )
    has_kv_heads = result.arrays["values"].axes[1] == "kv_head"
    show_heatmap(grid, "patched heads", on_pick=None if has_kv_heads else open_head)
    st.caption(
        "Columns are kv heads, which several heads share."
        if has_kv_heads
        else "Click a cell to open that head."
    )


def show_positions(
    result: Result, values: Values, selection: Selection, what: str, on_pick: Any = None
) -> None:
    """Layer x position, tokens as ticks."""
    largest = float(np.nanmax(np.abs(values))) or 1.0
    tokens = [token.strip() or repr(token)[1:-1] for token in result.ticks["position"]]
    heatmap = Heatmap(
        title=f"{name_of(result, selection)}, {what}",
        unit=unit_of(result, selection),
        values=np.ascontiguousarray(values, np.float32),
        rows=result.ticks["layer"],
        columns=tokens,
        row_axis="layer",
        column_axis="token",
        range=(-largest, largest),
        diverging=True,
    )
    show_heatmap(heatmap, "patched positions", on_pick=on_pick)


def unit_of(result: Result, selection: Selection) -> str:
    return result.arrays[selection.chosen.shown].unit


client, selection = open_page(
    "What changes the answer?",
    "Activation patching: one activation of one run is put into the other, and the answer is read again. "
    "Exact: everything that the change can reach is computed anew.",
)
show_question(selection)
params = controls(selection)
if params is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    st.stop()
result = result_of(client, selection.ask("patching", **params), "patching")
if result:
    show_runs(result)
    values = effect(result, selection.chosen.direction, selection.chosen.shown)
    if np.isnan(values).all():
        quiet(
            "Both runs score the same, so there is no difference to share out. Show the change of the metric.",
            "nothing",
        )
    elif selection.chosen.component in WITHOUT_HEADS:
        show_positions(result, values, selection, "every layer and token")
    else:
        show_heads(result, values, selection)
    st.caption(HOW_TO_READ[selection.chosen.direction])
    skipped, cells = result.scalars["cells_skipped"], result.scalars["cells"]
    quiet(
        f"{cells:,} cells, {skipped:,} of them not run because they cannot change the answer; engine "
        f"{result.scalars['engine']}. Oracle error: largest difference to whole forward passes on a random handful.",
        "cells",
    )
    show_provenance(result)
