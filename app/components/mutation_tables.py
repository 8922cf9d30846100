"""A result of `mutations`: the loss in a sentence and in tables, and the head's attention."""

import numpy as np
import streamlit as st

from app.address import MEASURES
from app.components.notice import sentence
from app.components.take_away import show_figure
from app.figures.mutations import Compared, change_table, interval_of, looks, mutation_lines, titles_of
from app.selection import Selection
from app.state import bound
from backend.contract.head import HeadRef
from backend.contract.result import Result

MEASURE_NAMES = {"loss": "Loss", "accuracy": "Accuracy"}


def show_losses(result: Result, head: HeadRef) -> None:
    """A sentence on what the head contributes under each mutation, and on the part that few dimensions keep."""
    names = [entry["name"] for entry in result.scalars["mutations"]]
    conditions = [entry["name"] for entry in result.scalars["conditions"]]
    added = result["loss"] - result["loss"][:, :1]
    ablated, low_rank = (added[:, conditions.index(name)] for name in ("ablated_mean", "low_rank_qk"))
    by_title = dict(zip(titles_of(result, "mutations"), ablated, strict=True))
    usual = next(iter(by_title))
    ordered = sorted((by, title) for title, by in by_title.items() if title != usual)
    ends = " to ".join(f"{by:.2f} ({title})" for by, title in dict.fromkeys((*ordered[:1], *ordered[-1:])))
    sentence(
        f"With {head} at its mean, the loss rises by ",
        f"{by_title[usual]:.2f} nats",
        (" on the prompts as they are" if names[0] == "base" else f" under {usual}")
        + (f"; under the other mutations by {ends}. With " if ends else ". With ")
        + f"{result.scalars['rank']} dimensions of its queries and keys it rises by at most "
        f"{max(0.0, low_rank.max()):.2f}.",
        key="losses",
        lead=True,
    )


def most_added(result: Result, measure: str) -> float:
    """The largest difference from the unchanged model, which has full colour."""
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
    unit = " in nats" if measure == "loss" else ""
    title = f"{name}{unit} under each mutation, and with {head} changed"
    figure = change_table(
        Compared(
            values,
            np.broadcast_to(values[:, :1], values.shape),
            titles_of(result, "mutations"),
            titles_of(result, "conditions"),
            interval_of(result, measure),
        ),
        title=title,
        x="run with",
        y="prompts",
        worse=most_added(result, measure) * (1 if measure == "loss" else -1),
        dark=st.context.theme.type == "dark",
    )
    show_figure(figure, result, key="mutations", alt=title)
    st.caption(
        "Read a row: the same prompts, first with the whole model. The second number, and the colour, is the "
        "difference from it: orange is worse, blue better. In the other columns the head's output at the final token "
        "is replaced: by its mean; by its output on another question; by what it gives when its queries and keys, or "
        f"its values, keep {result.scalars['rank']} dimensions; by what it gives with mean queries and keys."
    )
    title = f"{name} from mutation to mutation"
    show_figure(mutation_lines(result, measure, title), result, key="mutation lines", alt=title)
    st.caption("Bars are 95 % intervals over the questions.")


def show_transfer(result: Result) -> None:
    """The loss with dimensions that were fitted under another mutation."""
    transfer, titles = result["transfer"], titles_of(result, "mutations")
    most = most_added(result, "loss")
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
    title = "Loss in nats when fitted under one, run under another"
    figure = change_table(
        Compared(transfer, same, titles, titles),
        title=title,
        x="run under",
        y="fitted under",
        worse=most,
        dark=st.context.theme.type == "dark",
    )
    show_figure(figure, result, key="transfer", alt=title)
    st.caption(
        "Read a column: the same prompts, with dimensions fitted under each of the mutations in turn; the second "
        "number, and the colour, is the difference from the diagonal, where both are the same; full colour is "
        f"{most:.2g} nats, as in the table of losses. Where taking the head away costs "
        "something (its loss at its mean), a pale column says that the head compares along the same dimensions "
        "whatever the labels are; where it costs nothing, a pale column says nothing of the head."
    )


def show_looks(result: Result, head: HeadRef) -> None:
    """The head's attention under each mutation, where the result has it."""
    figure = looks(result, str(head))
    if figure is None:
        return
    show_figure(figure, result, key="looks", alt=f"Where {head} looks under each mutation")
    st.caption(
        "The first line is high where the head finds the right option. The second is about the letter that the right "
        "option would have if the labels were in their usual order, over the prompts that have that letter. Where the "
        "letters stand at other places, as shuffled ones do, it is another option's label, and a head whose query "
        "asks for that letter would look at it instead."
    )
