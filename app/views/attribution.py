"""Which heads and MLPs wrote the letter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from app.components.cost import result_at_price
from app.components.frame import open_page, show_question
from app.components.heatmap import expert_grid, head_grid, show_heatmap, with_mlps
from app.components.letter_choice import choose_letter
from app.components.node_table import node_table
from app.components.notice import sentence
from app.components.provenance import show_provenance
from app.components.scope import choose_scope
from app.components.take_away import show_figure
from app.figures.layers import mlp_bars
from app.figures.net import Node, net_effect, ranked, strongest_head
from app.figures.scale import Scale
from app.letter import Letter
from app.navigation import open_head
from app.selection import Selection
from app.state import bound
from backend.contract.head import HeadRef
from backend.contract.result import Result

Values = NDArray[np.float32]
TOP = 20


@dataclass(frozen=True)
class Shown:
    """What is drawn of one letter, the `target`: a value in logits for each node, over a bank with 95 % intervals."""

    target: str
    what: str
    heads: Values
    mlps: Values
    scale: Scale
    ends: tuple[tuple[str, float], ...] = ()
    experts: Values | None = None
    expert_names: tuple[str, ...] = ()
    heads_interval: tuple[Values, Values] | None = None
    mlps_interval: tuple[Values, Values] | None = None


def of_question(result: Result, label: str, letter: Letter, selection: Selection) -> Shown:
    """The net effect on the letter explained, or what is written for `label`."""
    target = label or letter.label
    place = selection.labels.index(target)
    parts = {name: result[name] for name in result.arrays if name != "source"}
    if label:
        what = f"Written for {target}"
        parts = {name: values[..., place] for name, values in parts.items()}
    else:
        what = f"Net effect on {letter.name}"
        parts = {name: net_effect(values, place) for name, values in parts.items()}
    ends = (("embedding", float(parts["embedding"])), ("biases", float(parts["bias"])))
    experts, names = parts.get("experts"), result.ticks.get("expert", ())
    if experts is not None and "shared_expert" in parts:
        experts = np.concatenate([experts, parts["shared_expert"][:, None]], axis=1)
        names = (*names, "shared")
    scale = scale_of(result, parts["heads"], parts["mlps"], ends)
    return Shown(target, what, parts["heads"], parts["mlps"], scale, ends, experts, names)


def of_bank(result: Result) -> Shown:
    """The mean net effect on the right letter."""
    return Shown(
        target="the right letter",
        what=f"Mean net effect on the right letter over {result.scalars['count']} questions",
        heads=result["net"],
        mlps=result["mlp_net"],
        scale=scale_of(result, result["net"], result["mlp_net"]),
        heads_interval=(result["net_low"], result["net_high"]),
        mlps_interval=(result["mlp_net_low"], result["mlp_net_high"]),
    )


def scale_of(result: Result, heads: Values, mlps: Values, ends: Sequence[tuple[str, float]] = ()) -> Scale:
    """All nodes together, and by how much they fail to sum to the logits."""
    whole = float(heads.sum() + mlps.sum() + sum(value for _, value in ends))
    return Scale(whole, result.checks["identity_error"][0])


def choose_label(selection: Selection, letter: Letter, row: DeltaGenerator) -> str:
    known = letter.worded("Net effect on the right letter")
    row.selectbox(
        "Show",
        ["", *selection.labels],
        format_func=lambda label: f"What is written for {label}" if label else known,
        width=320,
        **bound("letter", selection.chosen.letter),
    )
    return selection.chosen.letter


def show_strongest(shown: Shown) -> None:
    """The head and the MLP that write most for the letter, and those that write most against it."""
    heads, mlps = shown.heads, shown.mlps
    largest = max(float(np.abs(heads).max()), float(np.abs(mlps).max()))
    parts, text = [], "" if shown.scale.stands_out(largest) else "Nothing stands out. "
    for sign, begin in ((1, f"Most for {shown.target} is written by "), (-1, "Most against it by ")):
        head, mlp = strongest_head(sign * heads), int((sign * mlps).argmax())
        named = {f"head {HeadRef(*head)}": float(heads[head]), f"MLP {mlp}": float(mlps[mlp])}
        kept = {name: value for name, value in named.items() if sign * value > 0}
        for name, value in kept.items():
            parts += [text + begin, name]
            text, begin = f" ({value:+.2f} logits)", " and by "
        text += ". " if kept else ""
    sentence(*parts, text.rstrip(), key="strongest", lead=True)


def columns_for(nodes: list[Node], shown: Shown) -> Mapping[str, list[float]]:
    columns = {"logits": [node.value for node in nodes]}
    if shown.heads_interval and shown.mlps_interval:
        for name, heads, mlps in zip(
            ("95 % from", "to"), shown.heads_interval, shown.mlps_interval, strict=True
        ):
            columns[name] = [
                float(mlps[node.layer] if node.head is None else heads[node.layer, node.head])
                for node in nodes
            ]
    return columns


def open_cell(layer: int, column: int) -> None:
    """Open a head; the column after the last one holds MLPs, which have no page."""
    if column < shown.heads.shape[1]:
        open_head(layer, column)


client, selection = open_page(
    "Who wrote the letter?",
    "Direct logit attribution: how many logits each head and each MLP adds to a letter by writing straight to the "
    "output. **Net effect** (our definition): what a node adds to one letter, minus the mean of what it "
    "adds to the others.",
    guide="attribution",
)
if selection.chosen.scope == "question":
    show_question(selection)
row = st.container(horizontal=True, vertical_alignment="bottom")
over_bank = choose_scope(client, selection, row)
letter = None if over_bank else choose_letter(client, selection)
if letter is None and not over_bank:
    st.stop()
label = "" if letter is None else choose_label(selection, letter, row)
request = selection.ask_bank("attribution") if over_bank else selection.ask("attribution")
result = result_at_price(
    client, request, "attribution", "Run the questions" if over_bank else "Run the question"
)
if result:
    shown = of_bank(result) if letter is None else of_question(result, label, letter, selection)
    head = selection.chosen.head
    marked = [(head.layer, head.head)] if head else []
    show_strongest(shown)
    left, right = st.columns([3, 2], gap="large")
    with left:
        grid = head_grid(
            f"{shown.what}: heads and MLPs",
            "logits",
            shown.heads,
            diverging=True,
            interval=shown.heads_interval,
            marked=marked,
            end=shown.scale.end(shown.heads),
        )
        show_heatmap(
            with_mlps(grid, shown.mlps, shown.mlps_interval),
            "attribution heads",
            on_pick=open_cell,
            of=result,
        )
        st.caption(
            "Orange writes for the letter, blue against it. The last column holds MLPs. Click a head to open it."
        )
    with right:
        nodes = ranked(shown.heads, shown.mlps, TOP, shown.ends)
        st.markdown(f"**The {len(nodes)} nodes furthest from zero**")
        node_table(nodes, columns_for(nodes, shown), "top nodes")
    bars = mlp_bars(shown.mlps, f"{shown.what}: MLPs", shown.mlps_interval)
    show_figure(bars, result, key="mlps", alt="MLP bars")
    st.caption("One bar for each layer's MLP. Above zero, it writes for the letter.")
    if shown.experts is not None:
        experts = expert_grid(f"{shown.what}: experts", shown.experts, shown.expert_names)
        show_heatmap(experts, "experts", of=result)
        st.caption(
            "The experts of a layer add up to its MLP. Experts that the final token was not sent to are zero."
        )
    if result.scalars["before_cap"]:
        st.caption(
            "This model caps or scales its logits at the end. The logits here are those before that step."
        )
    show_provenance(result)
