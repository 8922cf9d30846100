"""What is drawn of a subspace: the colours, which three components, and the means."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.notice import warning_box
from app.figures.subspace import AXES, COLOUR_NAMES
from app.selection import Selection
from app.state import COLOURINGS, bound

FIRST = (1, 2, 3)


def choose_scene(selection: Selection, count: int) -> tuple[int, ...]:
    """Draw the controls for a subspace of `count` components; the three that are drawn, counted from 0."""
    chosen = selection.chosen
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox(
        "Colour",
        COLOURINGS,
        format_func=COLOUR_NAMES.__getitem__,
        width=180,
        **bound("colour", chosen.colour),
    )
    components = _choose_components(row, (chosen.x, chosen.y, chosen.z), count)
    row.toggle("Means", help="The mean of each colour, as a large mark.", **bound("means", chosen.means))
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
