"""Story: sentences to quote, the address, and the figure to take away."""

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from app.components.provenance import provenance_text
from app.components.story_parts import Answer
from app.figures.labels import probability_bars
from app.figures.layers import lens_lines
from app.figures.story_sheet import Section, margin_csv, story_html
from app.figures.waterfall import Margin, waterfall
from app.state import write
from backend.contract.result import Result

QUOTED = 3


def address(answer: Answer) -> str:
    """This page's address, with all choices; the question by its number also where it is the model's example."""
    return f"{st.context.url or ''}?{urlencode(write(answer.selection.chosen))}"


def chosen_quotes(told: Sequence[str | None]) -> list[str]:
    """The first three of these sentences that were told; those that matter most come first.

    >>> chosen_quotes([None, "a", "b", "c", "d"])
    ['a', 'b', 'c']
    """
    return [one for one in told if one][:QUOTED]


def show_end(
    answer: Answer, quotes: Sequence[str], told: Sequence[str | None], attribution: Result | None
) -> None:
    """Draw it. `told`: the sentences of the first four sections, None where one was not told."""
    st.subheader("To quote")
    st.code("\n".join(quotes), language=None, wrap_lines=True)
    st.code(address(answer), language=None, wrap_lines=True)
    st.caption("The address opens this page again, with the same question, model and switches.")
    where = address(answer)
    row = st.container(horizontal=True)
    row.download_button(
        "Take the figure away (HTML)",
        data=lambda: story_sheet(answer, told, attribution, where),
        file_name="letterheads-story.html",
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
        help="One file with the pictures and sentences, which opens without a network.",
    )
    if attribution is not None and told[2]:
        row.download_button(
            "Its numbers (CSV)",
            data=lambda: margin_csv(_margin(answer, attribution), answer.said),
            file_name="letterheads-margin.csv",
            mime="text/csv",
            icon=":material/table:",
            on_click="ignore",
            help="What every head and MLP writes for the letter said.",
        )


def _margin(answer: Answer, attribution: Result) -> Margin:
    return Margin.of(attribution, answer.prediction["label_logits"], answer.place)


def story_sheet(answer: Answer, told: Sequence[str | None], attribution: Result | None, where: str) -> str:
    """The page to take away: question, pictures with the sentences that were told, checks and address."""
    selection, result = answer.selection, answer.prediction
    bars = probability_bars(
        result["label_probs"], selection.labels, selection.question.options, selection.right
    )
    lens = lens_lines(result["lens"], selection.labels, selection.right)
    pictures = [
        bars,
        lens,
        None if attribution is None else waterfall(_margin(answer, attribution), answer.said),
    ]
    sections: list[Section] = [
        (sentence, pictures[number] if number < len(pictures) else None)
        for number, sentence in enumerate(told)
        if sentence
    ]
    options = zip(selection.labels, selection.question.options, strict=True)
    question = "\n".join([selection.question.stem, *(f"{label}) {option}" for label, option in options)])
    results = [result, *([] if attribution is None else [attribution])]
    checks = [f"{one.request['analysis']}: {provenance_text(one)}" for one in results]
    return story_html(question, sections, "\n".join([*checks, where]))
