"""Place or letter: what becomes of the answer, and of where one head looks, when the labels are changed."""

import streamlit as st

from app.components.cost import with_duration
from app.components.frame import open_page, show_question
from app.components.head_choice import head_link
from app.components.head_over_bank import head_over_bank
from app.components.job import result_of
from app.components.key_steering import show_steering
from app.components.mutation_tables import show_looks, show_losses, show_table, show_transfer
from app.components.notice import sentence
from app.components.provenance import show_provenance
from app.components.questions_used import show_used
from app.components.take_away import show_figure
from app.figures.mutations import swap_scatter
from app.selection import Selection
from app.state import bound
from backend.contract.client import Client
from backend.contract.head import HeadRef
from backend.contract.request import Request
from backend.contract.result import Result


def show_example(result: Result, selection: Selection) -> None:
    mutations = {entry["name"]: entry for entry in result.scalars["mutations"]}
    name = selection.chosen.mutation if selection.chosen.mutation in mutations else next(iter(mutations))
    st.selectbox(
        "A prompt under",
        list(mutations),
        format_func=lambda name: mutations[name]["title"],
        width=320,
        **bound("mutation", name),
    )
    st.code(mutations[name]["example"], language=None, wrap_lines=True)


def show_swap(result: Result, head: HeadRef) -> None:
    sentence(str(result.scalars["sentence"]), key="swap", lead=True)
    alt = "Attention to the place and to the letter"
    show_figure(swap_scatter(result, str(head)), result, key="swap", alt=alt)
    st.caption(
        "A mark for each question. Above the line the head looks at the place that the other prompt's answer had, "
        "below it at the letter."
    )


def started(client: Client, request: Request, text: str) -> Result | None:
    """The result of a test, or its start button while it has not been run. The button says how long it takes."""
    return result_of(client, request, request.analysis, start=with_duration(client, request, text))


def show_tests(client: Client, selection: Selection, head: HeadRef) -> None:
    params = {"head": [head.layer, head.head]}
    st.subheader("What the answer loses")
    st.markdown(
        "The same questions are asked in several forms. Each form is run with the model as it is, and then with the "
        "head's output replaced in several ways."
    )
    result = started(client, selection.ask_bank("mutations", **params), "Run all mutations")
    if result:
        show_losses(result, head)
        show_example(result, selection)
        show_table(result, head, selection)
        show_transfer(result)
        show_looks(result, head)
        show_used(result)
        show_provenance(result)
    st.subheader("Swap test")
    st.markdown(
        "The head gets the query of another prompt, in which the right answer has another place and another letter. "
        "An index of +1 means that its attention follows the place, the n-th item. An index of −1 means that it "
        "follows the letter."
    )
    swapped = started(client, selection.ask_bank("swap-test", **params), "Run the swap test")
    if swapped:
        show_swap(swapped, head)
        show_used(swapped)
        show_provenance(swapped)
    st.subheader("Steer the key")
    st.markdown(
        "To the key of one option's label a multiple of a direction is added: the mean key at the right label minus "
        "the mean key at the wrong labels, over other questions with the same right label. Strength 1 adds the whole "
        "difference. Only this head sees it, and only at the final token. Does its attention follow, and then the "
        "letter?"
    )
    steered = started(client, selection.ask_bank("key-steering", **params), "Steer the keys")
    if steered:
        show_steering(steered, head, selection)
        show_used(steered)
        show_provenance(steered)


client, selection = open_page(
    "Place or letter?",
    "A head that finds the right option may look for the n-th item of the list, or for a letter. With labels in order "
    "the two are the same. Labels that are shuffled, drawn from elsewhere in the alphabet or replaced by numbers "
    "pull them apart.",
    guide="mutations",
)
show_question(selection)
head = head_over_bank(client, selection)
if head is not None:
    st.header(str(head))
    head_link(head)
    show_tests(client, selection, head)
