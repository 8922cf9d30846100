"""The picture of one head's queries and keys in three dimensions, with its controls, its words and its questions."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import streamlit as st

from app.components.notice import sentence
from app.components.question_table import question_table
from app.components.scene_choice import choose_scene
from app.components.scene_viewer import camera_of, watch_scene
from app.components.take_away import show_figure
from app.figures.subspace import KINDS, Look, scene
from app.figures.subspace_points import directions, followed, points_frame, products_right
from app.navigation import open_question
from app.selection import Selection
from backend.contract.choices import KEY_POSITIONS
from backend.contract.head import HeadRef
from backend.contract.result import Result

MEANING = {
    "label": "Queries are coloured by the right letter, keys by their own label.",
    "letter": "Queries and keys are coloured by the right letter of their question.",
    "place": "Queries are coloured by where in the list the right option stands, keys by where they stand.",
    "verdict": "Queries are coloured by whether the model answers right, keys by whether theirs is the right option.",
    "subject": "Queries and keys are coloured by their question's subject.",
}


def show_picture(result: Result, others: Mapping[str, Result], head: HeadRef, selection: Selection) -> None:
    """The picture with its controls and its words, and the table of its questions; `others` by their titles."""
    chosen, questions = selection.chosen, result.scalars["questions"]
    components = choose_scene(selection, len(result["basis"]))
    frame = points_frame(result, components, others)
    figure = scene(
        frame,
        components,
        Look(
            chosen.colour,
            means=chosen.means,
            directions=directions(result, components) if chosen.products else None,
            camera=camera_of("scene"),
        ),
        title=f"{head}'s queries and keys",
    )
    left, right = st.columns([7, 3], gap="medium")
    with left:
        show_figure(
            figure,
            result,
            key="scene",
            alt="The queries and keys as points in three dimensions; the table holds their questions",
        )
        watch_scene("scene", lambda item: open_question(selection.bank.name, item + 1))
        st.caption(" ".join(_scene_words(selection, with_others=bool(others))))
        for title in others:
            _show_followed(frame, title)
        if chosen.products:
            _show_products(result, components, selection)
    with right:
        st.markdown(f"**Its {len(questions)} questions**")
        question_table(questions, selection.bank.name, "questions")


def _scene_words(selection: Selection, *, with_others: bool) -> Iterator[str]:
    """The picture's caption, sentence by sentence."""
    chosen = selection.chosen
    yield MEANING[chosen.colour]
    if with_others and chosen.colour in ("label", "letter"):
        yield "Each form has letters of its own; coloured by place in the list, all forms have the same colours."
    yield "Drag to turn it, click a point to open its question."
    yield (
        f"Queries are the final token's, keys are read at {KEY_POSITIONS[chosen.at]}, "
        f"{'after' if chosen.rotated else 'before'} the rotary embedding; each about their mean, and keys drawn to "
        "the queries' scale."
    )
    if not chosen.stacked:
        yield "Queries and keys stand in dimensions of their own, so that a query near a key means nothing."


def _show_products(result: Result, components: Sequence[int], selection: Selection) -> None:
    """A sentence on the lines, and on how often the drawn dimensions alone choose the right label."""
    pictured, full = products_right(result, components)
    sentence(
        "The further a query lies along a label's line, the larger its product with that label's mean key, about "
        "the means; longer lines count for more. By the pictured dimensions alone that product is largest for the "
        "right label's key on ",
        f"{pictured:.0%}",
        f" of questions; by the full vectors, means included, on {full:.0%}. "
        + (
            "Scaled, the product is what attention compares."
            if selection.chosen.rotated
            else "Before the rotary embedding it is not yet what attention compares: queries and keys are still to be "
            "turned by their positions."
        ),
        key="products",
    )


def _show_followed(frame: pd.DataFrame, title: str) -> None:
    """A sentence on where queries and keys lie under one mutation, in shares."""
    queries, keys = (followed(frame, kind, title) for kind in KINDS)
    count = ((frame["kind"] == "query") & (frame["among"] == title)).sum()
    letters = (
        "."
        if queries.letter is None or keys.letter is None
        else f"; to those of the same letter, {queries.letter:.0%} and {keys.letter:.0%}."
    )
    sentence(
        f"Under {title}, over {count} questions, ",
        f"{queries.place:.0%}",
        " of the queries and ",
        f"{keys.place:.0%}",
        " of the keys are nearest to the middle of those that had the same place in the list in the prompts as they "
        f"are{letters}",
        key=f"followed {title}",
    )
