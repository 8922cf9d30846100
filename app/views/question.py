"""The landing page: choose or write a question, see the prompt and what the model says."""

import json
import math

import pandas as pd
import streamlit as st

from app.components.frame import open_page
from app.components.job import result_of
from app.components.notice import cut, sentence
from app.components.provenance import show_provenance
from app.components.question_editor import edit_question
from app.components.question_picker import pick_question
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
        wanted = st.session_state["source"] == SOURCES[1]
        change(question=selection.question if wanted else None)

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
        f"Over its whole vocabulary this token has probability {over_all:.1%}"
        + ("." if loss is None else f"; the loss on the right letter is {loss:.3f} nats."),
        key="probability",
    )


def says(result: Result, selection: Selection) -> None:
    verdict(result, selection)
    figure = probability_bars(
        result["label_probs"], selection.labels, selection.question.options, selection.right
    )
    st.plotly_chart(figure, key="probabilities", alt="Bars of the labels' probabilities")
    st.caption("Bars sum to 100 %: softmax over the labels alone.")


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
    "Letterheads shows how a language model that knows the answer to a multiple-choice question comes to "
    "say its letter. Choose a question or write one; then see which heads wrote it and where they looked.",
    guide="question",
)
if source_switch(selection) == SOURCES[0]:
    pick_question(client, selection)
else:
    edit_question(selection)
result = result_of(client, selection.ask("prediction"), "prediction")
if result:
    left, right = st.columns(2, gap="large")
    with left:
        tokens_by_role("The prompt, token by token", result.scalars, "prompt")
        st.caption(
            "Colour: what a token is there for. Point at one for its place. The model answers after the last."
        )
    with right:
        says(result, selection)
    st.plotly_chart(
        lens_lines(result["lens"], selection.labels, selection.right), key="lens", alt="Logit lens"
    )
    st.caption(
        "How the labels' logits grow from layer to layer: where a line leaves the others, its letter wins."
    )
    with st.expander("Likeliest next tokens over the whole vocabulary"):
        top_tokens(result)
    show_provenance(result)
