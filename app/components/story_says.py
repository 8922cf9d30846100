"""Story, first section: what the model says, what else it might have said, and whether it keeps to the content."""

import json
import math
from collections import Counter
from collections.abc import Sequence

import streamlit as st

from app.components.job import result_of
from app.components.notice import cut, quiet
from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.figures.labels import probability_bars
from app.figures.rotations import Rotation, rotated, rotation_bars
from app.navigation import QUESTION_PAGE
from backend.contract.client import Client
from backend.contract.request import Request
from backend.contract.result import Result

OTHERS = 4
NEAR_CHANCE = 0.05
"""A letter said with less than this above an even share is said to be hardly more than chance."""


def says_parts(answer: Answer) -> Parts:
    """Which letter and option the model says, whether that is right, and how probable it is."""
    selection, result = answer.selection, answer.prediction
    if selection.right is None:
        judged = ""
    elif selection.right == answer.said:
        judged = ", and that is right"
    else:
        judged = f". That is wrong: the right letter is {selection.right}"
    share, even = float(result["label_probs"][answer.place]), 1 / len(selection.labels)
    chance = f", hardly more than chance ({even:.1%})" if share < even + NEAR_CHANCE else ""
    option = cut(selection.question.options[answer.place])
    return (
        "The model says ",
        answer.said,
        f", {option}{judged}. Among the letters this has {share:.1%}{chance}.",
    )


def others_text(result: Result, said: str) -> str:
    """The likeliest tokens of the whole vocabulary that are not the letter said."""
    entries = [entry for entry in result.scalars["top_tokens"] if entry["token"].strip() != said][:OTHERS]
    told = (
        f"{json.dumps(entry['token'], ensure_ascii=False)} {math.exp(entry['logprob']):.1%}"
        for entry in entries
    )
    return f"What else it might have said, over its whole vocabulary: {', '.join(told)}."


def rotations_parts(rotations: Sequence[Rotation], labels: Sequence[str], options: Sequence[str]) -> Parts:
    """Whether one option is said in all orders, or one letter, or neither."""
    count = len(rotations)
    option, by_option = Counter(rotation.option for rotation in rotations).most_common(1)[0]
    letter, by_letter = Counter(rotation.letter for rotation in rotations).most_common(1)[0]
    if by_option == count:
        return (
            f"In all {count} orders of the options it says ",
            cut(options[option], 60),
            ", whichever letter that has: it keeps to the content.",
        )
    if by_letter == count:
        return (
            f"In all {count} orders of the options it says ",
            labels[letter],
            ", whatever stands there: it keeps to the letter, not to the content.",
        )
    return (
        "It does not keep to the content: the same option, ",
        cut(options[option], 60),
        f", is said in {by_option} of {count} orders. The same letter, {labels[letter]}, is said in {by_letter}.",
    )


def show_says(answer: Answer) -> str:
    """Draw the answer. Returns its sentence."""
    selection, result = answer.selection, answer.prediction
    told = tell(says_parts(answer), "says")
    figure = probability_bars(
        result["label_probs"], selection.labels, selection.question.options, selection.right
    )
    st.plotly_chart(figure, key="says", alt="Bars of the labels' probabilities")
    quiet(others_text(result, answer.said), "others")
    return told


def rotated_requests(answer: Answer) -> list[Request]:
    """One request for each further order of the options."""
    selection = answer.selection
    return [
        Request.build(
            "prediction",
            model=selection.model,
            prompt=selection.prompt,
            question=rotated(selection.question, by),
        )
        for by in range(1, len(selection.labels))
    ]


def show_rotations(client: Client, answer: Answer) -> None:
    """Draw the answers to the question in its other orders, as far as they are known."""
    selection, requests = answer.selection, rotated_requests(answer)
    results = [answer.prediction]
    place = st.container()
    start = answer.start(f"Ask the other {len(requests)} orders", len(requests))
    for number, request in enumerate(requests):
        result = result_of(client, request, f"order {number + 2}", start="" if number else start)
        if result is None:
            break
        results.append(result)
    with place:
        complete = len(results) == len(selection.labels)
        rotations = [Rotation(by, result["label_probs"]) for by, result in enumerate(results)]
        options = selection.question.options
        if complete:
            tell(rotations_parts(rotations, selection.labels, options), "rotations")
        if len(rotations) > 1:
            figure = rotation_bars(rotations, selection.labels, options)
            st.plotly_chart(figure, key="rotations", alt="Bars of the options' probabilities in each order")
            st.caption(
                "Each bar is one order of the options, cut into the options as you asked them, from left to right. The "
                "colour is the letter that the option then has. If it keeps to the content, the same piece is long in "
                "every bar."
            )
    page_link(QUESTION_PAGE, "The prompt, token by token", ":material/contact_support:", answer.address())
    how_sure(
        "says",
        results,
        "Each bar is one forward pass of the unmodified model. The check compares the logits of the last layer with "
        "those that the model itself gave.",
    )
