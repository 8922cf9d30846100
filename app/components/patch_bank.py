"""Patching over a bank of questions: one picture of means, and the cells that do most with their intervals."""

from typing import Any

import numpy as np
import streamlit as st

from app.components.cost import result_at_price
from app.components.heatmap import Heatmap, head_grid, show_heatmap
from app.components.notice import quiet, sentence
from app.components.patch_choice import metric_title
from app.components.patch_picture import HOW_TO_READ
from app.components.provenance import show_provenance
from app.components.take_away import show_figure
from app.components.two_runs import show_runs
from app.figures.patched_bank import PatchedBank, patched_bank, strongest_bars
from app.figures.scale import Scale
from app.figures.shares import shares_hold
from app.navigation import open_head
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client
from backend.contract.components import COMPONENTS
from backend.contract.result import Result

START = "Patch the questions"


def patch_bank(client: Client, selection: Selection, params: dict[str, Any]) -> None:
    """Ask for the sweep over the bank, which waits for a click where it takes long, and draw it."""
    result = result_at_price(client, selection.ask_bank("patching", **params), "patching bank", START)
    if result is None:
        return
    show_runs(result, result.arrays["values"].unit)
    shown = selection.chosen.shown if shares_hold(result) else "values"
    bank = patched_bank(result, shown, _role(result, selection))
    _show_lead(bank, result, shown)
    _show_picture(bank, result, selection)
    figure = strongest_bars(bank, "The cells that do most, with 95 % intervals")
    show_figure(figure, result, key="patched bank bars", alt="The strongest cells with their intervals")
    st.caption(
        "p: how often random signs of the questions give a mean at least as far from zero. With many cells some have a "
        "small p by chance."
    )
    if result.scalars["reasons"]:
        quiet(f"Left out, the first: {result.scalars['reasons'][0]}", "left out")
    show_provenance(result)


def _role(result: Result, selection: Selection) -> str:
    """The role whose heads are shown; with several roles a control chooses it."""
    roles = result.ticks["role"]
    role = (
        selection.chosen.role
        if selection.chosen.role in roles
        else "final"
        if "final" in roles
        else roles[-1]
    )
    if len(roles) > 1 and COMPONENTS[result.scalars["component"]].heads is not None:
        st.selectbox("Heads at the tokens of", roles, width=200, **bound("role", role))
    return role


def _show_lead(bank: PatchedBank, result: Result, shown: str) -> None:
    scale = Scale.of_runs(result)
    whole = abs(scale.reference) if shown == "recovered" else 1.0
    large = [cell for cell in bank.strongest if scale.stands_out(float(bank.value[cell]) * whole)]
    if not large:
        sentence("Nothing stands out: no cell does much on average.", key="bank lead", lead=True)
        return
    parts = ["Put in alone, ", bank.name(large[0]), f" does most: {told(bank, large[0])}."]
    if len(large) > 1:
        parts += [" ", bank.name(large[1]), f" is next: {told(bank, large[1])}."]
        parts[2:4] = ["".join(parts[2:4])]
    sentence(*parts, key="bank lead", lead=True)


def told(bank: PatchedBank, cell: tuple[int, int]) -> str:
    """`+12 % (9 % to 15 %), p = 0.0005`."""
    form = "+.0%" if bank.unit == "share" else "+.3f"
    unit = "" if bank.unit == "share" else f" {bank.unit}"
    value, low, high = (float(each[cell]) for each in (bank.value, bank.low, bank.high))
    interval = "" if np.isnan(low) else f" ({low:{form}} to {high:{form}}), p = {float(bank.p[cell]):.2g}"
    return f"{value:{form}}{unit}{interval}"


def _show_picture(bank: PatchedBank, result: Result, selection: Selection) -> None:
    component = COMPONENTS[result.scalars["component"]]
    measured = (
        "share"
        if bank.unit == "share"
        else f"change of {metric_title(result.scalars['metric'], None).lower()}"
    )
    title = f"Mean over {result.scalars['count']} questions: {measured} with {component.short} patched"
    end = 1.0 if bank.unit == "share" else Scale.of_runs(result).end(bank.value)
    if component.heads is None:
        grid = Heatmap(
            title,
            bank.unit,
            bank.value,
            [str(layer) for layer in range(len(bank.value))],
            result.ticks["role"],
            "layer",
            "role of the tokens",
            (-end, end),
            diverging=True,
            low=bank.low,
            high=bank.high,
            missing="not patched: no counterpart in the other prompt",
        )
        show_heatmap(grid, "patched bank", of=result)
    else:
        _show_heads(bank, title, end, result)
    how = (
        HOW_TO_READ[result.scalars["direction"]]
        if bank.unit == "share"
        else "Zero: the patch changes nothing."
    )
    st.caption(f"{how} Point at a cell for its 95 % interval.")


def _show_heads(bank: PatchedBank, title: str, end: float, result: Result) -> None:
    grid = head_grid(title, bank.unit, bank.value, diverging=True, interval=(bank.low, bank.high), end=end)
    pick = open_head if COMPONENTS[result.scalars["component"]].heads == "head" else None
    show_heatmap(grid, "patched bank", pick, of=result)
