"""Which heads and MLPs are enough for the answer when all others are replaced."""

from typing import Any

import numpy as np
import streamlit as st

from app.components.bank_choice import choose_questions
from app.components.cost import result_at_price
from app.components.frame import open_page
from app.components.node_set import edit_set, percent
from app.components.node_table import node_table
from app.components.notice import quiet, sentence
from app.components.provenance import show_provenance
from app.components.take_away import show_figure
from app.figures.net import Node
from app.figures.sufficiency import kept_curve, necessity_curve
from app.selection import Selection
from app.state import bound
from backend.contract.choices import NODE_ORDERS, REPLACEMENTS
from backend.contract.client import Client
from backend.contract.request import Request
from backend.contract.result import Result

FEW = 20
TOP = 40
SHARE = 0.8


def controls(client: Client, selection: Selection) -> Request:
    """Draw the controls. Returns the request."""
    chosen = selection.chosen
    row = st.container(horizontal=True, vertical_alignment="bottom")
    choose_questions(client, selection, row)
    row.segmented_control(
        "Nodes sorted by",
        NODE_ORDERS,
        format_func=NODE_ORDERS.__getitem__,
        required=True,
        help="By the size of the mean over one half of the questions. The sets are scored on the other half.",
        **bound("order", chosen.order),
    )
    row.selectbox(
        "A replaced node gives",
        REPLACEMENTS,
        format_func=REPLACEMENTS.__getitem__,
        width=300,
        help="The corrupted run is another question of the same bank, with another right letter.",
        **bound("replacement", chosen.replacement),
    )
    params: dict[str, Any] = {
        "corruption": {"kind": "question", "bank": selection.bank.name},
        "order": chosen.order,
        "replacement": chosen.replacement,
        "share": SHARE,
    }
    return selection.ask_bank("sufficiency", **params)


def show_lead(result: Result) -> None:
    smallest, nodes = result.scalars["smallest"], len(result["order"])
    count = result.scalars["count"]
    if smallest is None:
        best = int(np.nanargmax(result["sufficiency"]))
        sentence(
            f"No set recovers {SHARE:.0%} of the answer. The best of those tried keeps ",
            f"{result['sizes'][best]:.0f} nodes",
            f" and recovers {percent(result, 'sufficiency', best)}.",
            key="lead",
            lead=True,
        )
        return
    index = int(np.searchsorted(result["sizes"], smallest["size"]))
    random = result["random_sufficiency"][index]
    low, high = smallest["low"], smallest["high"]
    interval = "" if low is None else f" (95 %: {low:.0%} to {high:.0%})"
    sentence(
        "",
        f"{smallest['size']} of {nodes} heads and MLPs recover {smallest['value']:.0%} of the answer",
        f"{interval} on {count} questions that they were not chosen on. Random sets of "
        f"{result['sizes'][index]:.0f} recover {random.min():.0%} to {random.max():.0%}.",
        key="lead",
        lead=True,
    )


def show_caveats(result: Result) -> None:
    count, left_out = result.scalars["count"], result.scalars["left_out"]
    problems = []
    if count < FEW:
        problems.append(
            f"Only {count} questions were scored, so the intervals are wide. Take more questions."
        )
    if left_out:
        were = "question was" if left_out == 1 else "questions were"
        problems.append(f"{left_out} {were} left out. The first: {result.scalars['reasons'][0]}")
    if problems:
        sentence(" ".join(problems), key="caveats")


def show_curves(result: Result) -> None:
    left, right = st.columns(2, gap="large")
    for column, fixed, key, kept in (
        (left, False, "live", "kept live"),
        (right, True, "fixed", "held fixed"),
    ):
        with column:
            curve = kept_curve(result, SHARE, fixed=fixed)
            show_figure(curve, result, key=key, alt=f"Share recovered with the first nodes {kept}")
    st.caption(
        f"At 1 the kept nodes give all of the answer, at 0 nothing; the dashed line is {SHARE:.0%}. Left, a kept head "
        "reads what the replaced nodes leave, so heads that it depends on must be in the set. Right, it holds its "
        "clean output whatever the others do. A share above 1 means that replaced nodes worked against the answer."
    )
    left, right = st.columns(2, gap="large")
    with left:
        alt = "Share lost with the first nodes replaced"
        show_figure(necessity_curve(result), result, key="necessity", alt=alt)
    left.caption(
        "Where the sum of single losses differs from what the nodes lose together, later nodes make up for one that is "
        "missing, or several nodes do the same work."
    )
    with right:
        show_table(result)


def show_table(result: Result) -> None:
    names = result.scalars["nodes"][:TOP]
    effects, unit = result["effect"], result.arrays["effect"].unit
    st.markdown(
        f"**The first {len(names)} nodes, by {NODE_ORDERS[result.request['params']['order']].lower()}**"
    )
    nodes = [Node.named(name, float(effect)) for name, effect in zip(names, effects, strict=False)]
    columns: dict[str, list[float] | list[str]] = {
        f"effect, {unit}": [float(effect) for effect in effects[: len(names)]],
        "share of all sizes so far": [f"{share:.0%}" for share in result["cumulative"][: len(names)]],
    }
    node_table(nodes, columns, "circuit nodes")
    st.caption("Select a head's row to open it.")


client, selection = open_page(
    "Which heads and MLPs are enough?",
    "A **node** is a head or an MLP at the final token. Nodes are sorted by their effect. Then only the first few are "
    "**kept**, and the outputs of all others are replaced. How much of the answer is left?",
    guide="circuit",
)
request = controls(client, selection)
result = result_at_price(client, request, "circuit", "Find the nodes that suffice")
if result is None:
    quiet(
        "The order is made on one half of the questions, and the sets are scored on the other half, beside 20 random "
        "sets of each size.",
        "what it does",
    )
else:
    show_lead(result)
    show_caveats(result)
    show_curves(result)
    show_provenance(result)
    edit_set(client, selection, result)
