"""Place or letter: what becomes of the answer, and of where one head looks, when the labels are changed."""

import numpy as np
import streamlit as st

from app.components.frame import open_page, show_question
from app.components.head_choice import head_link
from app.components.head_over_bank import head_over_bank
from app.components.job import result_of
from app.components.notice import quiet, sentence
from app.components.provenance import show_provenance
from app.figures.mutations import (
    change_table,
    interval_of,
    looks,
    mutation_lines,
    swap_scatter,
    titles_of,
)
from app.selection import Selection
from app.state import MEASURES, bound
from backend.results.request import HeadRef
from backend.results.result import Result
from backend.service.client import Client

MEASURE_NAMES = {"loss": "Loss", "accuracy": "Accuracy"}


def show_losses(result: Result, head: HeadRef) -> None:
    """What the head contributes under each mutation, and what few dimensions keep of it, in a sentence."""
    titles, rank = titles_of(result, "mutations"), result.scalars["rank"]
    conditions = [entry["name"] for entry in result.scalars["conditions"]]
    added = result["loss"] - result["loss"][:, :1]
    ablated, low_rank = (added[:, conditions.index(name)] for name in ("ablated_mean", "low_rank_qk"))
    least, most = int(ablated.argmin()), int(ablated.argmax())
    sentence(
        f"With {head} at its mean, the loss rises by ",
        f"{ablated[0]:.2f} nats",
        f" on the prompts as they are; under the mutations by {ablated[least]:.2f} ({titles[least]}) to "
        f"{ablated[most]:.2f} ({titles[most]}). With {rank} dimensions of its queries and keys it rises by at most "
        f"{max(0.0, low_rank.max()):.2f}.",
        key="losses",
        lead=True,
    )


def most_added(result: Result, measure: str) -> float:
    """The largest difference from the whole model: what has the full colour."""
    return float(np.abs(result[measure] - result[measure][:, :1]).max()) or 1.0


def show_table(result: Result, head: HeadRef, selection: Selection) -> None:
    """The numbers as a table coloured by their differences, and as lines."""
    measure = selection.chosen.measure
    st.segmented_control(
        "Measure",
        MEASURES,
        format_func=MEASURE_NAMES.__getitem__,
        required=True,
        **bound("measure", measure),
    )
    name, values = MEASURE_NAMES[measure], result[measure]
    title = f"{name} under each mutation, and with {head} changed"
    figure = change_table(
        values,
        np.broadcast_to(values[:, :1], values.shape),
        titles_of(result, "mutations"),
        titles_of(result, "conditions"),
        title=title,
        x="run with",
        y="prompts",
        worse=most_added(result, measure) * (1 if measure == "loss" else -1),
        dark=st.context.theme.type == "dark",
        interval=interval_of(result, measure),
    )
    st.plotly_chart(figure, key="mutations", alt=title)
    st.caption(
        "Read a row: the same prompts, first with the whole model. The second number, and the colour, is the "
        "difference from it: orange is worse, blue better. In the other columns the head's output at the final token "
        "is replaced: by its mean; by its output on another question; by what it gives when its queries and keys, or "
        f"its values, keep {result.scalars['rank']} dimensions; by what it gives with mean queries and keys."
    )
    title = f"{name} from mutation to mutation"
    st.plotly_chart(mutation_lines(result, measure, title), key="mutation lines", alt=title)
    st.caption("Bars are 95 % intervals over the questions.")


def show_transfer(result: Result) -> None:
    """Whether the dimensions found under one mutation serve under the others."""
    transfer, titles = result["transfer"], titles_of(result, "mutations")
    same = np.broadcast_to(np.diagonal(transfer)[None], transfer.shape)
    fitted, run = np.unravel_index((transfer - same).argmax(), transfer.shape)
    st.subheader("Are they the same dimensions?")
    sentence(
        f"Queries and keys are held in {result.scalars['rank']} dimensions that were fitted under another mutation. At "
        "worst this adds ",
        f"{(transfer - same).max():.2f} nats",
        " to the loss with those fitted under the same"
        + (f" (fitted under {titles[fitted]}, run under {titles[run]})." if fitted != run else "."),
        key="transfer",
    )
    title = "Loss when fitted under one, run under another"
    figure = change_table(
        transfer,
        same,
        titles,
        titles,
        title=title,
        x="run under",
        y="fitted under",
        worse=most_added(result, "loss"),
        dark=st.context.theme.type == "dark",
    )
    st.plotly_chart(figure, key="transfer", alt=title)
    st.caption(
        "Read a column: the same prompts, with dimensions fitted under each of the mutations in turn; the second "
        "number is the difference from the diagonal, where both are the same, in the colours above. A pale column "
        "says that the head compares along the same dimensions whatever the labels are."
    )


def show_looks(result: Result, head: HeadRef) -> None:
    """Where it looks under each mutation, where the result says it."""
    figure = looks(result, str(head))
    if figure is None:
        return
    st.plotly_chart(figure, key="looks", alt=f"Where {head} looks under each mutation")
    st.caption(
        "The first line is high where the head finds the right option. The second is about the letter that the right "
        "option would have if the labels were in their usual order, wherever it stands: another label only where they "
        "are shuffled. There, a head whose query asks for that letter would look at it instead."
    )


def show_left_out(result: Result) -> None:
    reasons = [f"{entry['name']}: {entry['reason']}" for entry in result.scalars["left_out"]]
    if reasons:
        quiet("Left out. " + "\n".join(reasons), "left out")


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
    scalars = result.scalars
    sentence(
        "Index ",
        f"{scalars['index']:+.2f}",
        f" (95 %: {scalars['low']:+.2f} to {scalars['high']:+.2f}). {scalars['sentence']}",
        key="swap",
        lead=True,
    )
    st.plotly_chart(
        swap_scatter(result, str(head)), key="swap", alt="Attention to the place and to the letter"
    )
    st.caption(
        "A mark for each question. Above the line the head looks at the place that the other prompt's answer had, "
        "below it at the letter."
    )


def show_tests(client: Client, selection: Selection, head: HeadRef) -> None:
    params = {"head": [head.layer, head.head]}
    st.subheader("What the answer loses")
    result = result_of(
        client, selection.ask_bank("mutations", **params), "mutations", start="Run all mutations"
    )
    if result:
        show_losses(result, head)
        show_example(result, selection)
        show_table(result, head, selection)
        show_transfer(result)
        show_looks(result, head)
        show_left_out(result)
        show_provenance(result)
    st.subheader("Swap test")
    st.markdown(
        "The head is given the query of another prompt, in which the right answer has another place and "
        "another letter. An index of +1 says that its attention follows the place, the n-th item; −1 that it follows "
        "the letter."
    )
    swapped = result_of(
        client, selection.ask_bank("swap-test", **params), "swap-test", start="Run the swap test"
    )
    if swapped:
        show_swap(swapped, head)
        show_provenance(swapped)


client, selection = open_page(
    "Place or letter?",
    "A head that finds the right option may look for the n-th item of the list or for a letter. Labels that are "
    "shuffled, drawn from elsewhere in the alphabet or replaced by numbers pull the two apart. Each mutation is run "
    "with the model as it is and with one head ablated, or held in few dimensions.",
)
show_question(selection)
head = head_over_bank(client, selection)
if head is not None:
    st.header(str(head))
    head_link(head)
    show_tests(client, selection, head)
