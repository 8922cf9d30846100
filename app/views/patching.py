"""What changes the answer: activation patching of one component, cell by cell."""

from dataclasses import replace
from typing import Any

import streamlit as st

from app.components.cost import start_button
from app.components.frame import open_page, show_question
from app.components.job import Draw, answer_of, result_of
from app.components.letter_choice import choose_letter
from app.components.next_page import end_page
from app.components.notice import quiet
from app.components.patch_bank import patch_bank
from app.components.patch_choice import choose_corruption, choose_metric, possible_corruptions
from app.components.patch_picture import chosen_column, show_effects
from app.components.provenance import show_provenance
from app.components.scope import choose_scope
from app.components.take_away import checked, show_figure
from app.components.two_runs import show_runs
from app.corruption import Corruptions
from app.figures.agreement import agreement, comparable, rank_correlation
from app.figures.patched import SHOWN, Effects, View, effects_of
from app.figures.shares import shares_hold
from app.letter import Letter
from app.readers import ends_of
from app.selection import Selection
from app.state import bound
from backend.contract.choices import DIRECTIONS, POSITIONS
from backend.contract.client import Client
from backend.contract.components import COMPONENTS
from backend.contract.corruptions import CORRUPTIONS, DRAWS
from backend.contract.errors import LetterheadsError
from backend.contract.result import Result

START = "Run the exact sweep"
ENGINES = {
    "cone": "Only what a patch can change was computed again.",
    "full": "Each cell is a pass of the whole model.",
}


def offered_components(client: Client, selection: Selection) -> list[str]:
    """The components that the model has; also the one that the address asks for, which may then be refused."""
    shape, chosen = client.resolve(selection.model).shape, selection.chosen.component
    parallel = shape is not None and shape.parallel
    return [name for name, one in COMPONENTS.items() if name == chosen or one.in_parallel or not parallel]


def controls(
    client: Client, selection: Selection, letter: Letter | None, corruptions: Corruptions
) -> dict[str, Any] | None:
    """Draw the controls. Returns the request's params, or None while the corrupted prompt is not written yet."""
    chosen = selection.chosen
    corruption = choose_patch(client, selection, letter, corruptions)
    metric = choose_view(selection, letter)
    if corruption is None:
        return None
    if CORRUPTIONS[corruption["kind"]].drawn and chosen.draws > 1:
        corruption["draws"] = chosen.draws
    return {
        "corruption": corruption,
        "component": chosen.component,
        "direction": chosen.direction,
        "metric": metric,
        "positions": chosen.where,
    }


def choose_patch(
    client: Client, selection: Selection, letter: Letter | None, corruptions: Corruptions
) -> dict[str, Any] | None:
    """Draw what is patched. Returns the corruption, or None while the corrupted prompt is not written yet."""
    chosen = selection.chosen
    first = st.container(horizontal=True, vertical_alignment="bottom")
    corruption = choose_corruption(first, selection, letter, corruptions)
    if CORRUPTIONS[corruptions.taken(chosen.corruption)].drawn:
        first.number_input(
            "Draws",
            *ends_of(DRAWS),
            width=80,
            help="How many corrupted prompts are drawn. Of several, the mean is shown; point at a cell for the spread.",
            **bound("draws", chosen.draws),
        )
    first.selectbox(
        "Component",
        offered_components(client, selection),
        format_func=lambda name: COMPONENTS[name].title,
        width=250,
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
    return corruption


def choose_view(selection: Selection, letter: Letter | None) -> dict[str, str]:
    """Draw what is measured, where, and how it is shown. Returns the metric."""
    chosen = selection.chosen
    second = st.container(horizontal=True, vertical_alignment="bottom")
    metric = choose_metric(second, selection, letter)
    second.segmented_control(
        "Where",
        POSITIONS,
        format_func=POSITIONS.__getitem__,
        required=True,
        help="All tokens can take minutes for components with heads.",
        **bound("where", chosen.where),
    )
    second.segmented_control(
        "Show", SHOWN, format_func=SHOWN.__getitem__, required=True, **bound("shown", chosen.shown)
    )
    return metric


def effects_in(
    known: Result | None, estimate: Result | None, selection: Selection, *, complete: bool
) -> Effects | None:
    """The effects of the chosen cells, as shares or as changes of the metric."""
    chosen = selection.chosen
    view = View(chosen.component, chosen.direction, chosen.where, chosen.shown)
    return effects_of(known, estimate, view, complete=complete)


def with_shares_that_hold(told: Result, selection: Selection) -> Selection:
    """The same choices; changes of the metric are shown where both runs differ by no more than noise."""
    chosen = selection.chosen
    return selection if shares_hold(told) else replace(selection, chosen=replace(chosen, shown="values"))


def unit_of(told: Result, component: str) -> str:
    """The metric's unit. The arrays of an estimate are named by their components."""
    return told.arrays["values" if "values" in told.arrays else component].unit


def picture(estimate: Result | None, selection: Selection) -> Draw:
    """The function that draws the cells that are exact so far, and estimates for the others."""

    def draw(known: Result | None, complete: bool) -> None:
        told = known or estimate
        if told is None:
            return
        view = with_shares_that_hold(told, selection)
        effects = effects_in(known, estimate, view, complete=complete)
        if effects is None:
            return
        unit = unit_of(told, view.chosen.component)
        show_runs(told, unit)
        if view is not selection and selection.chosen.shown == "recovered":
            quiet("Shares of so little mean nothing; changes of the metric are shown.", "withheld")
        show_effects(effects, "share" if view.chosen.shown == "recovered" else unit, view, checked(known))

    return draw


def show_agreement(result: Result, estimate: Result, selection: Selection) -> None:
    """Draw the estimates of the shown cells against their exact values."""
    selection = with_shares_that_hold(result, selection)
    chosen = selection.chosen
    effects = effects_in(result, estimate, selection, complete=True)
    if effects is None or not comparable(effects.estimate, effects.exact).any():
        return
    if COMPONENTS[chosen.component].heads is not None:
        effects = effects.at(chosen_column(effects))
    axis = result.arrays["values"].axes[1].replace("_", " ")
    numbers = effects.positions if axis == "position" else range(effects.exact.shape[1])
    names = [f"layer {layer}, {axis} {number}" for layer in range(len(effects.exact)) for number in numbers]
    with st.expander("Estimate against exact values"):
        unit = "share" if chosen.shown == "recovered" else unit_of(result, chosen.component)
        figure = agreement(effects.estimate, effects.exact, names, unit)
        show_figure(figure, result, key="agreement", alt="Scatter of estimates against exact values")
        correlation = rank_correlation(effects.estimate, effects.exact)
        st.caption(
            f"Rank correlation {correlation:.2f}. On the dashed line the estimate equals the exact value. Cells where "
            "both runs are still equal are left out."
        )


client, selection = open_page(
    "What changes the answer?",
    "Activation patching: one activation of one run is put into another run, and the answer is read again. "
    "Everything that the change can reach is computed again, so that the values are exact.",
    guide="patching",
)
if selection.chosen.scope == "question":
    show_question(selection)
over_bank = choose_scope(client, selection, st.container(horizontal=True, vertical_alignment="bottom"))
letter = None if over_bank else choose_letter(client, selection)
corruptions = possible_corruptions(client, selection, letter) if letter or over_bank else None
if corruptions is None:
    st.stop()
params = controls(client, selection, letter, corruptions)
if params is None:
    quiet("Write the corrupted prompt to begin.", "empty")
    end_page("Patching")
if over_bank:
    patch_bank(client, selection, params)
    end_page("Patching")
pair = {name: params[name] for name in ("corruption", "metric", "direction")}
estimate = answer_of(client, selection.ask("attribution_patching", **pair), "estimate")
if estimate is None:
    st.stop()
if isinstance(estimate, LetterheadsError):
    quiet(f"Without estimates: {estimate}", "no estimate")
    estimate = None
# The progress of the time estimate is drawn below the picture, so that the picture does not move when it ends.
place = st.container()
request = selection.ask("patching", **params)
start = start_button(client, request, START)
with place:
    result = result_of(
        client,
        request,
        "patching",
        draw=picture(estimate, selection),
        start=START if start is None else start,
    )
if result:
    if estimate:
        show_agreement(result, estimate, selection)
    skipped, cells = result.scalars["cells_skipped"], result.scalars["cells"]
    quiet(
        f"{cells:,} cells, of which {skipped:,} were not run because they cannot change the answer. "
        f"{ENGINES[result.scalars['engine']]} Oracle error: the largest difference from whole forward passes, on a few "
        "random cells.",
        "cells",
    )
    show_provenance(result)
