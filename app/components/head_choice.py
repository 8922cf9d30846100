"""Controls and links that the pages about heads share: which head, and how its attention is read."""

from dataclasses import replace

import streamlit as st

from app.address import READINGS
from app.components.notice import quiet, warning_box
from app.figures.net import net_effect, strongest_head
from app.letter import Letter, letter_explained
from app.navigation import HEAD_PAGE, PATHS_PAGE, SUBSPACE_PAGE
from app.selection import Selection
from app.state import bound, change, current, write
from backend.contract.head import HeadRef
from backend.contract.result import Result


def choose_reading(selection: Selection) -> None:
    """Draw the choice between plain and value-weighted attention."""
    st.segmented_control(
        "Reading",
        READINGS,
        required=True,
        help="Value-weighted: attention times the length of what the head would write from that token.",
        **bound("reading", selection.chosen.reading),
    )


def existing_head(selection: Selection, shape: tuple[int, ...]) -> HeadRef | None:
    """The head in the address, or None. A warning reports a head that a model of `shape` (layers, heads) lacks."""
    head = selection.chosen.head
    if head is None or (head.layer < shape[0] and head.head < shape[1]):
        return head
    warning_box(
        [
            f"This model has no head {head}: its layers go from 0 to {shape[0] - 1} and its heads from 0 to "
            f"{shape[1] - 1}. Another one is shown instead."
        ],
        "head",
    )
    return None


def target_of(attribution: Result, selection: Selection) -> Letter:
    """The letter of the net effects."""
    return letter_explained(str(attribution.scalars["predicted"]), selection)


def head_in_hand(attribution: Result, selection: Selection) -> HeadRef:
    """The head in the address, or the one with the largest net effect; a line on the page then says so."""
    head = existing_head(selection, attribution["heads"].shape)
    if head is None:
        letter = target_of(attribution, selection)
        net = net_effect(attribution["heads"], selection.labels.index(letter.label))
        head = HeadRef(*strongest_head(net))
        quiet(f"{head} has the largest net effect on {letter.name}, of all heads.", "strongest")
    return head


def paths_link(head: HeadRef) -> None:
    """A link to the paths that lead to the head."""
    params = write(replace(current()[0], head=head, node="head", mode="receiver"))
    st.page_link(
        PATHS_PAGE, label="Who feeds this head?", icon=":material/account_tree:", query_params=params
    )


def subspace_link(head: HeadRef) -> None:
    """A link to the head's queries and keys."""
    params = write(replace(current()[0], head=head))
    st.page_link(
        SUBSPACE_PAGE,
        label="What does this head compare?",
        icon=":material/view_in_ar:",
        query_params=params,
    )


def head_link(head: HeadRef) -> None:
    """A link to the head's page."""
    params = write(current()[0]) | {"head": str(head)}
    st.page_link(HEAD_PAGE, label=f"Open {head}", icon=":material/center_focus_strong:", query_params=params)


def choose_head(head: HeadRef, shape: tuple[int, ...]) -> None:
    """Draw selectors for layer and head, and buttons for the previous and the next head."""
    layers, heads = shape[:2]
    st.session_state["head layer"], st.session_state["head number"] = head.layer, head.head

    def take() -> None:
        change(head=HeadRef(st.session_state["head layer"], st.session_state["head number"]))

    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.selectbox("Layer", range(layers), key="head layer", on_change=take, width=110)
    row.selectbox("Head", range(heads), key="head number", on_change=take, width=110)
    index = head.layer * heads + head.head
    for label, step, icon in (("Previous head", -1, "arrow_back"), ("Next head", 1, "arrow_forward")):
        target = HeadRef(*divmod((index + step) % (layers * heads), heads))
        row.button(
            str(target),
            icon=f":material/{icon}:",
            key=label,
            help=label,
            on_click=change,
            kwargs={"head": target},
        )
