"""Choose or write a question, see the prompt and what the model says."""

import json
import math

import pandas as pd
import streamlit as st

from app.components.frame import open_page
from app.components.job import result_of
from app.components.notice import cut, sentence
from app.components.prompt_note import show_prompt_notes
from app.components.provenance import show_provenance
from app.components.question_editor import edit_question
from app.components.question_picker import pick_question
from app.components.take_away import show_figure
from app.components.tokens import tokens_by_role
from app.figures.labels import probability_bars
from app.figures.layers import lens_lines
from app.selection import Selection
from app.state import change
from backend.contract.result import Result

SOURCES = ("From a bank", "Your own")


def source_switch(selection: Selection) -> str:
    own = selection.chosen.question is not None

    def switch() -> None:
        """An own question comes back after a look at a bank; the first one starts from the bank's."""
        if st.session_state["source"] == SOURCES[1]:
            change(question=st.session_state.get("own question", selection.question))
        else:
            st.session_state["own question"] = selection.question
            change(question=None)

    st.session_state["source"] = SOURCES[own]
    st.segmented_control(
        "Where the question comes from", SOURCES, required=True, key="source", on_change=switch,
        label_visibility="collapsed",
    )  # fmt: skip
    return SOURCES[own]


def verdict(result: Result, selection: Selection) -> None:
    predicted = str(result.scalars["predicted"])
    place = selection.labels.index(predicted)
    judged = "."
    if selection.right is not None:
        right = predicted == selection.right
        judged = ", and that is right." if right else f". The right letter is {selection.right}."
    sentence(
        "The model says ",
        predicted,
        f", {cut(selection.question.options[place])}{judged}",
        key="verdict",
        lead=True,
    )
    over_all = math.exp(float(result["label_logprobs"][place]))
    loss = result.scalars["loss"]
    sentence(
        f"Over the whole vocabulary this token has a probability of {over_all:.1%}."
        + ("" if loss is None else f" The loss on the right letter is {loss:.3f} nats."),
        key="probability",
    )


def says(result: Result, selection: Selection) -> None:
    verdict(result, selection)
    figure = probability_bars(
        result["label_probs"], selection.labels, selection.question.options, selection.right
    )
    show_figure(figure, result, key="probabilities", alt="Bars of the labels' probabilities")
    st.caption("The bars sum to 100 %: all other tokens are left out.")


def top_tokens(result: Result) -> None:
    rows = [
        {
            "token": json.dumps(entry["token"], ensure_ascii=False),
            "probability": math.exp(entry["logprob"]),
            "log-probability (nats)": entry["logprob"],
        }
        for entry in result.scalars["top_tokens"]
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)


client, selection = open_page(
    "Which letter, and who writes it?",
    "A language model that knows the answer of a multiple-choice question still has to say its letter. Choose a "
    "question, or write one. The other pages then show which heads wrote the letter, and where they looked.",
    guide="question",
)
if source_switch(selection) == SOURCES[0]:
    pick_question(client, selection)
else:
    edit_question(selection)
result = result_of(client, selection.ask("prediction"), "prediction")
if result:
    show_prompt_notes(result, selection)
    left, right = st.columns(2, gap="large")
    with left:
        tokens_by_role("The prompt, token by token", result.scalars, "prompt", of=result)
        st.caption(
            "The colour is the token's role in the prompt. Point at a token to see its position. The model answers "
            "after the last one."
        )
    with right:
        says(result, selection)
    lens = lens_lines(result["lens"], selection.labels, selection.right)
    show_figure(lens, result, key="lens", alt="Logit lens")
    st.caption(
        "From the layer on where one line leaves the others, the lens reads that letter. Lines of early layers need "
        "not mean anything."
    )
    with st.expander("Likeliest next tokens over the whole vocabulary"):
        top_tokens(result)
    show_provenance(result)
