"""How far a model drifts when it is stored another way: do answers, heads and patching values survive?"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.components.bank_choice import choose_questions
from app.components.frame import open_page
from app.components.job import result_of
from app.components.next_page import end_page
from app.components.node_table import node_table, open_node
from app.components.notice import quiet, sentence
from app.components.provenance import provenance_text
from app.components.take_away import show_figure
from app.figures.drift import against
from app.figures.net import Node
from app.navigation import MODEL_PAGE
from app.selection import Selection
from app.state import bound, write
from backend.contract.client import Client
from backend.contract.head import HeadRef
from backend.contract.model import DTYPES, QUANTIZATIONS, ModelSpec
from backend.contract.result import Result
from backend.results.drift import Drift, Values, check_shapes, drift


def choose_other(client: Client, selection: Selection) -> ModelSpec:
    """Draw the controls: the model to compare with, and the questions. Returns that model."""
    chosen = selection.chosen
    row = st.container(horizontal=True, vertical_alignment="bottom")
    listed = ["", *(card.name for card in client.models())]
    row.selectbox(
        "Compare with",
        listed if chosen.against in listed else [*listed, chosen.against],
        format_func=lambda name: name or "the same model",
        accept_new_options=True,
        help="Or type a hub id, a local folder, or a GGUF file of a model with as many layers and heads.",
        width=260,
        **bound("against", chosen.against),
    )
    row.selectbox("in dtype", DTYPES, width=130, **bound("against_dtype", chosen.against_dtype))
    row.selectbox(
        "quantized", QUANTIZATIONS, width=150, **bound("against_quantization", chosen.against_quantization)
    )
    choose_questions(client, selection, row)
    return ModelSpec(
        chosen.against or chosen.model, chosen.against_dtype, chosen.against_quantization, chosen.device
    )


def stored_the_same(client: Client, *models: ModelSpec) -> bool:
    """Whether two models are the same one, as far as is known before either runs.

    Raises RequestError where their shapes differ.
    """
    resolved = [client.resolve(model) for model in models]
    shapes = [(each.shape.layers, each.shape.heads) for each in resolved if each.shape]
    if len(shapes) == len(models):
        check_shapes(*shapes)
    first, second = (
        (model.name, model.quantization, each.dtype, each.device)
        for model, each in zip(models, resolved, strict=True)
    )
    return first == second


def say_same(selection: Selection) -> None:
    quiet(
        "Both are the same model, stored the same way. Choose another dtype or quantization for one: here for the "
        "first, on the page Model for the second.",
        "same",
    )
    st.page_link(
        MODEL_PAGE,
        label="How the second is stored",
        icon=":material/memory:",
        query_params=write(selection.chosen),
    )


def readings_of(client: Client, selection: Selection, model: ModelSpec, place: str) -> Result | None:
    return result_of(client, replace(selection.ask_bank("readings"), model=model), place)


def show_both(one: Result, other: Result) -> None:
    """Draw both models as two columns, so that both are in view on a narrow screen."""
    columns = {
        place: {
            "model": result.model["name"],
            "dtype": result.model["dtype"],
            "quantization": result.model["quantization"],
            "right answers": with_interval(result.scalars["accuracy"], ".0%"),
            "loss, nats": with_interval(result.scalars["loss"], ".3f"),
            "weights, GB": f"{result.scalars['weight_bytes'] / 1e9:.2f}",
        }
        for place, result in (("first", one), ("second", other))
    }
    st.dataframe(pd.DataFrame(columns), alt="Both models: accuracy, loss and memory")


def with_interval(figure: Mapping[str, Any], form: str) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    return f"{value:{form}}" if low is None else f"{value:{form}} ({low:{form}} to {high:{form}})"


def show_scatter(
    both: tuple[Result, Result],
    values: tuple[Values, Values],
    heads: list[HeadRef],
    key: str,
    title: str,
    what: str,
) -> None:
    def picked() -> None:
        for point in st.session_state[key]["selection"]["points"]:
            open_node(Node.named(point["text"], point["y"]))

    figure = against(values[0], values[1], [str(head) for head in heads], title=title, what=what)
    show_figure(figure, *both, key=key, on_select=picked, selection_mode="points", alt=title)


def show_heads(found: Drift, first: Result, second: Result) -> None:
    layers_heads = found.net[0].shape
    left, right = st.columns(2, gap="large")
    with left:
        show_scatter(
            (first, second),
            found.net,
            [HeadRef(*place) for place in np.ndindex(layers_heads)],
            "drift net",
            "Net effect of every head in both models",
            "mean net effect, logits",
        )
        st.caption(
            f"On the dashed line both agree. Correlation {found.net_correlation:.3f}; the largest difference is "
            f"{found.net_largest:.2g} logits. Click a head to open it."
        )
    with right:
        if not found.patched_heads:
            quiet("No question could be patched in both: its options have different lengths.", "unpatched")
            return
        show_scatter(
            (first, second),
            found.patched,
            list(found.patched_heads),
            "drift patched",
            "Patching each head at the final token, in both models",
            "net logit, minus the question's median",
        )
        st.caption(
            "One mark for each head and question: the right letter's net logit when the head's clean output is put "
            f"into the run with two options swapped, minus the median of that question's heads. Correlation "
            f"{found.patched_correlation:.3f}; the largest difference is {found.patched_largest:.2g} logits."
        )


def show_steps(*results: Result) -> None:
    """Say how far apart two neighbouring logits are in bfloat16, if one of the results is in it."""
    held = [result for result in results if result.model["dtype"] == "bfloat16"]
    if held:
        largest = max(float(np.nanmax(np.abs(result["label_logits"]))) for result in held)
        step = 2.0 ** (np.floor(np.log2(largest)) - 7)
        st.caption(
            f"bfloat16 has 8 significant bits: the largest label logit, {largest:.1f}, comes in steps of {step:.3g}. "
            "Patching values that differ by about as much may differ by rounding alone; they stand in stripes."
        )


def show_ranks(found: Drift) -> None:
    st.markdown(
        f"**The {len(found.strongest)} strongest heads of the first model, and their rank in the second**"
    )
    nodes = [Node.named(str(each.head), each.value) for each in found.strongest]
    columns: dict[str, list[str] | list[float]] = {
        "rank": [rank_text(each.rank, each.other_rank) for each in found.strongest],
        "first, logits": [each.value for each in found.strongest],
        "second, logits": [each.other_value for each in found.strongest],
    }
    node_table(nodes, columns, "drift places")
    st.caption(
        f"Ranks are by the size of the mean net effect; their correlation is {found.rank_correlation:.2f}. "
        f"{changes_text(found)} Select a row to open its head."
    )


def rank_text(rank: int, other: int) -> str:
    """`3`, or `3 → 5` where the rank in the second model is another."""
    return str(rank) if rank == other else f"{rank} → {other}"


def changes_text(found: Drift) -> str:
    if not found.left:
        return "The ten strongest stay the ten strongest."
    gone, come = (", ".join(map(str, heads)) for heads in (found.left, found.entered))
    return f"Of the ten strongest {gone} leave, and {come} come in."


client, selection = open_page(
    "Do the numbers survive?",
    "A model stored in fewer bits is another model. The **first** is the model compared with. The **second** is the "
    "chosen one, stored as on the page Model. Both get the same questions, one after the other.",
    guide="drift",
)
reference = choose_other(client, selection)
if stored_the_same(client, reference, selection.model):
    say_same(selection)
    end_page("Drift")
second = readings_of(client, selection, selection.model, "drift second")
first = readings_of(client, selection, reference, "drift first") if second else None
if first and second:
    if first.model["fingerprint"] == second.model["fingerprint"]:
        say_same(selection)
    found = drift(first, second)
    sentence("", found.verdict, key="verdict", lead=True)
    sentence(
        "Label logits differ by ",
        f"{found.logits_mean:.2g}",
        f" logits on average, and by {found.logits_largest:.2g} at most.",
        key="logits",
    )
    show_both(first, second)
    show_heads(found, first, second)
    show_steps(first, second)
    show_ranks(found)
    quiet(
        "Our thresholds. Small: every answer and the ten strongest heads are the same. Large: fewer than 90 % of the "
        "answers are the same, or fewer than seven of the ten heads stay.",
        "thresholds",
    )
    quiet(f"First: {provenance_text(first)}\nSecond: {provenance_text(second)}", "provenance")
