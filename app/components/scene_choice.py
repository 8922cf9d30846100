"""The controls of the subspace picture: which vectors, the colours, three components, means and products."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.notice import warning_box
from app.figures.subspace_points import AXES, COLOURINGS
from app.readers import ALSO, MAX_ALSO
from app.selection import Selection
from app.state import bound
from backend.contract.choices import KEY_POSITIONS, QUESTIONS_USED

FIRST = (1, 2, 3)


def choose_vectors(selection: Selection) -> dict[str, Any]:
    """Draw the controls for which queries and keys are collected. Returns the params of `subspace` for them."""
    chosen = selection.chosen
    with st.popover("Which queries and keys", icon=":material/tune:"):
        st.selectbox(
            "Keys are read at",
            KEY_POSITIONS,
            format_func=KEY_POSITIONS.__getitem__,
            help="One token for each option: the head may have put what it compares on any of these.",
            **bound("at", chosen.at),
        )
        st.segmented_control(
            "Questions",
            QUESTIONS_USED,
            format_func=QUESTIONS_USED.__getitem__,
            required=True,
            help="All of them, or only those that the model answers right.",
            **bound("keep", chosen.keep),
        )
        st.toggle(
            "After the rotary embedding",
            help="It turns queries and keys by their positions; what attention compares is what comes out of it. "
            "Before it, what they say is separate from where they stand.",
            **bound("rotated", chosen.rotated),
        )
        st.toggle(
            "One set of dimensions for both",
            help="On: queries and keys stand in the same dimensions, to which both contribute alike. Off: each in the "
            "dimensions in which they themselves differ most, which are not the same.",
            **bound("stacked", chosen.stacked),
        )
    others = {
        name: getattr(chosen, name)
        for name, usual in (("at", "label"), ("keep", "all"), ("rotated", False))
        if getattr(chosen, name) != usual
    }
    return {"stacked": chosen.stacked, **others}


def choose_also(selection: Selection) -> None:
    """Draw the control for the mutations whose points are drawn too."""
    st.multiselect(
        "Also the same head under",
        ALSO,
        format_func=ALSO.__getitem__,
        max_selections=MAX_ALSO,
        placeholder="other labels, other separators, …",
        width=420,
        help="The same questions asked with other labels or another form, put into the dimensions of the prompts as "
        "they are. Drawn letters are the same ones for all questions. Each takes about as long as the picture took.",
        **bound("also", list(selection.chosen.also)),
    )


def choose_scene(selection: Selection, count: int) -> tuple[int, ...]:
    """Draw the controls for a subspace of `count` components; the three that are drawn, counted from 0."""
    chosen = selection.chosen
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox(
        "Colour",
        COLOURINGS,
        format_func=COLOURINGS.__getitem__,
        width=180,
        **bound("colour", chosen.colour),
    )
    components = _choose_components(row, (chosen.x, chosen.y, chosen.z), count)
    row.toggle("Means", help="The mean of each colour, as a large mark.", **bound("means", chosen.means))
    row.toggle(
        "Products",
        help="For each label a line: the further a query lies along it, the larger its product with that label's keys.",
        **bound("products", chosen.products),
    )
    return tuple(component - 1 for component in components)


def _choose_components(row: DeltaGenerator, wanted: tuple[int, ...], count: int) -> tuple[int, ...]:
    components = wanted
    if max(wanted) > count or len(set(wanted)) < len(wanted):
        warning_box(
            [
                f"The axes must be three different components from 1 to {count}, not "
                f"{', '.join(map(str, wanted))}. The first three are shown instead."
            ],
            "components",
        )
        components = FIRST
    for axis, component in zip(AXES, components, strict=True):
        others = {*components} - {component}
        row.selectbox(
            f"{axis} axis",
            [number for number in range(1, count + 1) if number not in others],
            format_func="component {}".format,
            width=150,
            **bound(axis, component),
        )
    return components
