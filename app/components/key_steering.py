"""A result of `key-steering`, with a slider over its strengths. Moving the slider computes nothing again."""

from collections.abc import Sequence

import streamlit as st

from app.components.notice import quiet, sentence
from app.components.take_away import show_figure
from app.figures.steering import among_labels, before_and_after, flip_curves
from app.selection import Selection
from app.state import bound
from backend.contract.head import HeadRef
from backend.contract.result import Result


def show_steering(result: Result, head: HeadRef, selection: Selection) -> None:
    """Draw a slider over the strengths, shares over all questions, and one question before and after."""
    strengths = [float(strength) for strength in result["strength"]]
    wanted = selection.chosen.strength
    strength = min(strengths, key=lambda one: abs(one - wanted))
    if len(strengths) > 1:
        st.select_slider("Strength", strengths, format_func="{:g}".format, **bound("strength", strength))
    at_strength = strengths.index(strength)
    flipped, chance, at_all = (
        float(values)
        for values in (
            result["flipped"][at_strength],
            result["flipped_random"][at_strength],
            result["flipped_at_all"],
        )
    )
    sentence(
        f"At strength {strength:g}, steered at an option that the model did not choose, the letter becomes that "
        "option's in ",
        f"{flipped:.0%}",
        f" of cases; with a random direction of the same length in {chance:.0%}; for comparison, with all of {head}'s "
        f"attention on it, in {at_all:.0%}.",
        key="steering",
        lead=True,
    )
    show_figure(
        flip_curves(result, f"Letters and attention when {head}'s keys are steered", strength),
        result,
        key="steering",
        alt="Share of letters that flip, and attention to the steered option, against the strength",
    )
    st.caption(
        f"Over {result.scalars['kept']} questions and the options that the model did not choose. Bars are 95 % "
        "intervals."
    )
    _show_one(result, selection, at_strength)


def _show_one(result: Result, selection: Selection, at_strength: int) -> None:
    """Draw one question before and after steering, at the strength with this index."""
    questions, labels = result.scalars["questions"], result.scalars["labels"]
    row = min(selection.chosen.steered, len(questions)) - 1
    option = _option(labels, selection.chosen.towards, int(result["predicted"][row]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Question",
            range(1, len(questions) + 1),
            format_func=lambda number: " ".join(questions[number - 1]["stem"].split()),
            width=420,
            **bound("steered", row + 1),
        )
        st.selectbox("Steered at", labels, width=110, **bound("towards", labels[option]))
    question = questions[row]
    quiet(
        f"Right is {question['answer']}; as it is, the model says {question['predicted']}.",
        "steered question",
    )
    for column, name, title, y in zip(
        st.columns(2, gap="large"),
        ("label_logits", "attention"),
        ("Probability among the labels", "Attention of the head to the labels"),
        ("probability", "attention"),
        strict=True,
    ):
        before, after = result[f"{name}_model"][row], result[name][row, option, at_strength]
        if name == "label_logits":
            before, after = among_labels(before), among_labels(after)
        figure = before_and_after(labels, before, after, title=title, y=y)
        with column:
            show_figure(figure, result, key=f"steered {name}", alt=title)


def _option(labels: Sequence[str], wanted: str, predicted: int) -> int:
    """The index of the option in the address, or of the first option that the model does not choose."""
    return labels.index(wanted) if wanted in labels else int(predicted == 0)
