"""The heatmaps of patched activations. Exact cells replace estimates, and a click shows the heads at a token."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st

from app.components.heatmap import Heatmap, head_grid, show_heatmap
from app.components.notice import quiet
from app.components.patch_lead import show_lead
from app.components.provenance import UNCHECKED
from app.components.tokens import token_name
from app.figures.patched import Effects, effect_name
from app.navigation import open_head
from app.selection import Selection
from app.state import change, current
from backend.contract.components import COMPONENTS
from backend.contract.result import Result

HOW_TO_READ = {
    "denoise": "A clean activation is put into the corrupted run. Share recovered: 1 brings the clean answer back by "
    "itself, 0 changes nothing. Near 1: enough on its own to restore the answer.",
    "noise": "A corrupted activation is put into the clean run. Share lost: 1 takes the clean answer away by itself, "
    "0 changes nothing. Near 1: the answer does not survive without it.",
}
NO_COUNTERPART = "not patched: no counterpart in the other prompt"


def show_effects(effects: Effects, unit: str, selection: Selection, of: Result | None) -> None:
    """The heatmaps of one component, and how to read them. `of`: the result, once it is checked."""
    if np.isnan(effects.known).all():
        quiet(
            "Both runs have the same metric, so shares of their difference are not defined. Show its change.",
            "nothing",
        )
    elif COMPONENTS[selection.chosen.component].heads is None:
        _positions(effects, unit, selection, "every layer and token", of)
        st.caption(legend(effects))
    else:
        _heads(effects, unit, selection, of)
    st.caption(HOW_TO_READ[selection.chosen.direction])


def chosen_column(effects: Effects) -> int:
    """The index along the last axis of the chosen token; the last one if that token is not among the positions."""
    position = current()[0].place
    return effects.positions.index(position) if position in effects.positions else len(effects.positions) - 1


def legend(effects: Effects) -> str:
    """What full cells, small marks and hatched cells mean, if there are any, and which tokens are left out."""
    exact, cells, first = int(np.isfinite(effects.exact).sum()), effects.exact.size, effects.positions[0]
    if effects.complete and exact < cells:
        return "Hatched cells are not patched: the other prompt has no counterpart of their token."
    if exact == cells:
        text = "All cells are exact." if effects.complete else UNCHECKED
    else:
        text = f"Exact so far: {exact:,} of {cells:,} cells."
    if not effects.complete and np.isfinite(effects.estimate).any():
        text = f"Small marks are estimates, to first order (attribution patching). {text}"
    if len(effects.positions) > 1 and first:
        text += f" The first {first} tokens are left out: both prompts begin with them, so that they change nothing."
    return text


def _heads(effects: Effects, unit: str, selection: Selection, of: Result | None) -> None:
    """Layer x head at one position; with several positions, above it layer x position of the strongest head."""
    if effects.complete:
        show_lead(effects, unit, selection)
    if len(effects.positions) > 1:
        _positions(
            effects.strongest(),
            unit,
            selection,
            "the head that does most",
            of,
            lambda _, column: change(place=effects.positions[column]),
            chosen_column(effects),
        )
        st.caption(
            f"{legend(effects)} Each cell holds its strongest head; click one to see the heads at its token below. "
            "The token now shown there has its strongest cell framed."
        )
    here = effects.at(chosen_column(effects))
    token = f"at token {here.positions[0] + 1}, '{token_name(here.tokens[0])}'"
    grid = head_grid(f"{_name(selection)}, {token}", unit, np.nan_to_num(here.known), diverging=True)
    has_kv_heads = COMPONENTS[selection.chosen.component].heads == "kv_head"
    if has_kv_heads:
        grid = replace(grid, heads=False, column_axis="kv head")
    show_heatmap(
        _filled(grid, here, effects.full), "patched heads", on_pick=None if has_kv_heads else open_head, of=of
    )
    hint = (
        "Columns are kv heads, which several heads share."
        if has_kv_heads
        else "Click a cell to open that head."
    )
    st.caption(
        f"Colours are those above. {hint}" if len(effects.positions) > 1 else f"{legend(effects)} {hint}"
    )


def _positions(
    effects: Effects,
    unit: str,
    selection: Selection,
    what: str,
    of: Result | None,
    on_pick: Callable[[int, int], None] | None = None,
    column: int | None = None,
) -> None:
    """Layer x position, with tokens as ticks. In the chosen column the strongest layer is framed."""
    marked = [] if column is None else [(effects.strongest_layer(column), column)]
    heatmap = Heatmap(
        title=f"{_name(selection)}, {what}",
        unit=unit,
        values=effects.exact,
        rows=[str(layer) for layer in range(len(effects.exact))],
        columns=[token_name(token) for token in effects.tokens],
        row_axis="layer",
        column_axis="token",
        roles=effects.roles,
        marked=marked,
        range=(0.0, 1.0),
        diverging=True,
    )
    show_heatmap(_filled(heatmap, effects, effects.full), "patched positions", on_pick=on_pick, of=of)


def _filled(heatmap: Heatmap, effects: Effects, largest: float) -> Heatmap:
    """The heatmap with the exact values, and with estimates for the other cells until the sweep is finished."""
    unknown = np.full_like(effects.exact, np.nan)
    return replace(
        heatmap,
        values=effects.exact,
        estimate=unknown if effects.complete else effects.estimate,
        spread=effects.spread,
        missing=NO_COUNTERPART if effects.complete else "",
        range=(-largest, largest),
    )


def _name(selection: Selection) -> str:
    chosen = selection.chosen
    component = COMPONENTS[chosen.component].short
    return f"{effect_name(chosen.direction, chosen.shown)}: {component}, {chosen.direction}"
