"""The landing page: one question from beginning to end, each section with a picture, a sentence and a link."""

import streamlit as st

from app.components.cost import result_at_price
from app.components.frame import open_page
from app.components.job import result_of
from app.components.prompt_note import show_prompt_notes
from app.components.start_here import show_tour
from app.components.story_end import chosen_quotes, show_end
from app.components.story_holds import show_holds
from app.components.story_lens import show_lens
from app.components.story_looks import show_looks, writing_heads
from app.components.story_own import show_own
from app.components.story_parts import Answer
from app.components.story_says import show_rotations, show_says
from app.components.story_turn import show_turn
from app.components.story_variant import show_variant
from app.components.story_writes import show_writes
from app.selection import Selection
from backend.contract.client import Client
from backend.contract.result import Result

# Characters of a question, some thousand tokens, above which the model is asked at a price.
LONG = 4000


def of_heads(client: Client, answer: Answer, analysis: str, what: str) -> Result | None:
    """The result of an analysis of this question, which takes about a forward pass."""
    start = answer.start(f"Show {what}", passes=1)
    return result_of(client, answer.selection.ask(analysis), analysis, start=start)


def first_pass(client: Client, selection: Selection) -> Result | None:
    """The model's answer. That to a long prompt may take long, and then waits for a click."""
    request, question = selection.ask("prediction"), selection.question
    if selection.prompt.shots or len(question.stem) + sum(map(len, question.options)) > LONG:
        return result_at_price(client, request, "prediction", "Ask the model")
    return result_of(client, request, "prediction")


client, selection = open_page(
    "One question, the whole story",
    "A language model answers a multiple-choice question by a letter. Here is how it comes to say that letter, from "
    "top to bottom. Each section links to a page with more.",
    guide="story",
)
show_tour(selection.chosen.model)
show_own(client, selection)
prediction = first_pass(client, selection)
if prediction is None:
    st.stop()
show_prompt_notes(prediction, selection)
answer = Answer(selection, prediction)
# Sections stand in this order. The other orders of the options are asked last, because they take several passes.
says, lens, writes, looks, holds, turn = (st.container() for _ in range(6))
with says:
    st.subheader("1. What it says")
    says_sentence = show_says(answer)
with lens:
    st.subheader("2. When it knows")
    lens_sentence = show_lens(client, answer)
writes_sentence = looks_sentence = None
with writes:
    st.subheader("3. Who writes it")
    attribution = of_heads(client, answer, "attribution", "who writes it")
    if attribution:
        writes_sentence = show_writes(answer, attribution)
with looks:
    st.subheader("4. Where they look")
    attention = of_heads(client, answer, "attention", "where they look") if attribution else None
    if attribution and attention:
        looks_sentence = show_looks(answer, attribution, attention)
with says:
    show_rotations(client, answer)
holds_sentence = None
with holds:
    st.subheader("5. Does it hold?")
    if attribution and attention:
        holds_sentence = show_holds(client, answer, writing_heads(answer, attribution), attention)
turn_sentence = None
with turn:
    st.subheader("6. Turn it")
    if attribution and attention:
        turn_sentence = show_turn(client, answer, writing_heads(answer, attribution), attention)
        show_variant(client, answer, writing_heads(answer, attribution), attention)
show_end(
    answer,
    chosen_quotes((says_sentence, writes_sentence, holds_sentence, turn_sentence, looks_sentence)),
    (says_sentence, lens_sentence, writes_sentence, looks_sentence, holds_sentence, turn_sentence),
    attribution,
)
