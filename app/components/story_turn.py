"""Story, sixth section: one head's key or query is moved until the letter turns."""

from collections.abc import Sequence

import numpy as np
import streamlit as st

from app.components.cost import result_at_price
from app.components.notice import quiet
from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.figures.gaze import looks_at, on_labels
from app.figures.turned import turn_curves, turns_at
from app.navigation import MUTATIONS_PAGE
from app.state import bound
from backend.contract.client import Client
from backend.contract.head import HeadRef
from backend.contract.result import Result

TURNS = {"key": "the option's key", "query": "the head's query"}
"""What is moved, by the name of the way."""


def turning_head(answer: Answer, heads: Sequence[HeadRef], attention: Result) -> HeadRef | None:
    """The first of these heads, strongest first, that looks at a label; None where none does."""
    final, roles = attention["final"], attention.scalars["roles"]
    count = len(answer.selection.labels)
    looking = [head for head in heads if looks_at(on_labels(final, roles, head, count)) is not None]
    return looking[0] if looking else None


def label_turned_to(answer: Answer) -> str:
    """The label in the address, or the likeliest one that is not said."""
    labels, wanted = answer.selection.labels, answer.selection.chosen.towards
    if wanted in labels and wanted != answer.said:
        return wanted
    logits = answer.prediction["label_logits"].copy()
    logits[answer.place] = -np.inf
    return labels[int(logits.argmax())]


def turn_parts(result: Result, way: str, at: int) -> Parts:
    """What the model says at the strength with index `at`, and from which strength on it says another letter."""
    labels, to = result.scalars["labels"], result.scalars["to"]
    said, place = result.scalars["predicted"], labels.index(to)
    row = result.ticks["way"].index(way)
    strength = f"{float(result['strength'][at]):g}"
    before, after = (
        float(values[place]) for values in (result["attention_model"], result["attention"][row, at])
    )
    now = labels[int(result["label_logits"][row, at].argmax())]
    says = f"the model still says {now}" if now == said else f"the model says {now} instead of {said}"
    return (
        f"At strength {strength} {result.scalars['head']}'s attention to {to} goes from {before:.0%} to "
        f"{after:.0%}, and ",
        says,
        ".",
    )


def verdict(result: Result, way: str) -> str:
    """At which of the strengths tried the letter turns first, by this way and in a random direction."""
    ways, labels = result.ticks["way"], result.scalars["labels"]
    said = labels.index(result.scalars["predicted"])
    strengths = result["strength"]
    most = f"{float(strengths[-1]):g}"
    logits = result["label_logits"][ways.index(way)]
    first = turns_at(logits, said)
    if first is None:
        told = f"The letter never turns up to strength {most}, the strongest tried."
        at_all = labels[int(result["label_logits_at_all"].argmax())]
        if at_all == labels[said]:
            told += (
                f" Nor does it with all of the head's attention on {result.scalars['to']}: others hold it."
            )
        else:
            told += (
                f" With all of the head's attention on {result.scalars['to']} the model would say {at_all}."
            )
    else:
        now = labels[int(logits[first].argmax())]
        told = f"Of the strengths tried the letter first turns, to {now}, at {float(strengths[first]):g}."
    if way == "key":
        by_chance = turns_at(result["label_logits"][ways.index("random")], said)
        told += " A random direction as long " + (
            f"does not turn it up to {most}."
            if by_chance is None
            else f"turns it at {float(strengths[by_chance]):g}."
        )
    return told


def show_turn(client: Client, answer: Answer, heads: Sequence[HeadRef], attention: Result) -> str | None:
    """Draw the controls, and the letters against the strength. Returns the sentence on when the letter turns."""
    head = turning_head(answer, heads, attention)
    if head is None:
        quiet("None of the heads that write the letter looks at a label, so none can be turned.", "no turn")
        return None
    to = label_turned_to(answer)
    chosen, labels = answer.selection.chosen, answer.selection.labels
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Turn it to", [one for one in labels if one != answer.said], required=True, **bound("towards", to)
        )
        st.segmented_control(
            "By moving", list(TURNS), format_func=TURNS.__getitem__, required=True, **bound("way", chosen.way)
        )
    request = answer.selection.ask("turn", head=[head.layer, head.head], to=to)
    result = result_at_price(client, request, "turn", f"Turn {head} to {to}")
    told = None if result is None else _show_turned(result, chosen.way, chosen.strength)
    address = answer.address(head=head, scope="bank", labels="A B C D" if len(labels) == 4 else chosen.labels)
    page_link(MUTATIONS_PAGE, f"{head} over many questions", ":material/shuffle:", address)
    how_sure(
        "turn",
        [] if result is None else [result],
        f"By the key: to the key of {to} is added the key of {answer.said} minus the mean key of the other labels, all "
        "of this prompt. By the query: the head's query moves towards the one that it has in the prompt with options "
        f"{answer.said} and {to} swapped. Nothing is fitted on other questions.",
        "Only this head's row at the last token is changed, and all that comes after it is computed again. The check "
        "compares two runs with whole passes of the model.",
    )
    return told


def _show_turned(result: Result, way: str, wanted: float) -> str:
    strengths = [float(strength) for strength in result["strength"]]
    strength = min(strengths, key=lambda one: abs(one - wanted))
    place = st.container()
    st.select_slider("Strength", strengths, format_func="{:g}".format, **bound("strength", strength))
    at, row = strengths.index(strength), result.ticks["way"].index(way)
    with place:
        tell(turn_parts(result, way, at), "turn")
    told = verdict(result, way)
    quiet(told, "turn verdict")
    labels = result.scalars["labels"]
    figure = turn_curves(
        result["strength"],
        result["label_logits"][row],
        result["attention"][row],
        labels,
        at=at,
        to=labels.index(result.scalars["to"]),
    )
    st.plotly_chart(figure, key="turn", alt="Lines of the letters' probabilities against the strength")
    st.caption(
        "Each coloured line is a letter's probability among the letters; the grey one is the head's attention. At "
        "strength 0 the model is as it is. The dashed upright line is the slider; where another colour comes out on "
        "top, the letter turns."
    )
    return told
