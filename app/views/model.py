"""Which model, whether our figures agree with it, and whether it answers by letter at all."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.components.bank_choice import choose_questions
from app.components.cost import result_at_price
from app.components.frame import open_page
from app.components.job import result_of
from app.components.notice import quiet, sentence
from app.components.provenance import mark, show_provenance
from app.components.take_away import show_figure
from app.figures.labels import letters_bars
from app.selection import Selection
from app.state import bound
from backend.contract.cards import ModelCard, ResolvedModel
from backend.contract.client import Client
from backend.contract.model import DTYPES, QUANTIZATIONS
from backend.contract.request import Request
from backend.contract.result import Result

FIGURES = {
    "logits_error": "Recorded logits equal the model's own (largest difference, logits)",
    "readout_error": "The last residual stream gives the logits (largest difference, logits)",
    "identity_error": "Attributions sum to the logits (largest difference, logits)",
    "residual_error": "What sublayers add makes the residual stream (share of the largest value)",
    "heads_error": "Heads sum to what attention wrote (share of the largest value)",
    "pattern_error": "Patterns times values give each head's output (share of the largest value)",
    "rotary_error": "Queries and keys at the first token are those that attention used (direction)",
}

OFFLOAD_HELP = (
    "offload: on the graphics cards; layers that do not fit there stay in the processor's memory and are fetched each "
    "time they run. Much slower."
)


def choose_model(client: Client, selection: Selection) -> None:
    cards = {card.name: card for card in client.models()}
    chosen = selection.chosen
    st.selectbox(
        "Model",
        list(cards) if chosen.model in cards else [*cards, chosen.model],
        format_func=lambda name: card_text(cards[name]) if name in cards else name,
        accept_new_options=True,
        help="Or type a hub id (Qwen/Qwen2.5-0.5B), a local folder, or a GGUF file.",
        **bound("model", chosen.model),
    )
    if chosen.model in cards:
        quiet(f"{cards[chosen.model].license} · {cards[chosen.model].role}", "card")
    columns = st.columns(3)
    columns[0].selectbox("dtype", DTYPES, **bound("dtype", chosen.dtype))
    columns[1].selectbox(
        "Quantization",
        QUANTIZATIONS,
        help="By bitsandbytes. 4bit is nf4; 4bit-double quantizes its scales too; fp4 is a 4-bit float.",
        **bound("quantization", chosen.quantization),
    )
    devices = client.devices()
    columns[2].selectbox(
        "Device",
        devices if chosen.device in devices else [*devices, chosen.device],
        help=OFFLOAD_HELP if "offload" in devices else None,
        **bound("device", chosen.device),
    )
    resolved = client.resolve(selection.model)
    sentence(
        "It runs in ",
        f"{resolved.dtype} on {resolved.device}",
        f" ({resolved.reason.removeprefix(resolved.dtype + ': ')}).",
        key="resolved",
    )
    quiet(memory_text(resolved), "memory")


def memory_text(resolved: ResolvedModel) -> str:
    """How much memory the model needs, how much is free, and if it does not fit, what would."""
    if resolved.resident:
        return "It is in memory."
    if not resolved.needed_bytes:
        return "How much memory it takes is known once it is fetched."
    needed, free = resolved.needed_bytes / 1e9, resolved.free_bytes / 1e9
    text = f"It will need about {needed:.1f} GB of memory; {free:.1f} GB are free for it."
    if resolved.fits:
        return text
    return f"✗ {text} {what_would_fit(resolved.others)}"


def what_would_fit(others: Sequence[str]) -> str:
    if others:
        return f"This would fit: {', '.join(others)}."
    return "No other dtype or quantization would fit: close other programs, or choose a smaller model."


def card_text(card: ModelCard) -> str:
    """The model in the list of choices. It is short, because a choice does not wrap on a narrow screen."""
    return f"{card.title} · {'ready' if card.ready else f'{card.bytes / 1e9:.1f} GB to fetch'}"


def show_self_check(result: Result) -> None:
    rows = [
        {
            "": mark(value, limit).replace(" ", "\u00a0"),
            "figure": figure_text(name),
            "value": f"{value:.2g}".replace("-", "\u2212"),
            "limit": f"{limit:g}",
        }
        for name, (value, limit) in result.checks.items()
    ]
    # Not st.dataframe, whose cells do not wrap: on a narrow screen values and limits were out of view.
    st.table(pd.DataFrame(rows), hide_index=True, alt="Self-check figures with their limits")
    sizes = result.scalars
    quiet(
        f"{sizes['family']}{' (not listed, known by its structure)' if sizes['by_structure'] else ''} · "
        f"{sizes['layers']} layers · {sizes['heads']} heads ({sizes['kv_heads']} for "
        f"keys and values) of {sizes['d_head']} · width {sizes['d_model']} · "
        f"vocabulary {sizes['vocabulary']:,}",
        "sizes",
    )


def figure_text(name: str) -> str:
    """What a figure of the self-check says."""
    plain = name.removeprefix("float32_")
    text = FIGURES.get(plain, plain.replace("_", " "))
    return text if plain == name else f"Some layers in float32: {text[0].lower()}{text[1:]}"


def show_answers(result: Result) -> None:
    scalars = result.scalars
    sentence("", f"{'✓' if scalars['go'] else '✗'} {scalars['verdict']}", key="verdict", lead=True)
    columns = st.columns(3)
    columns[0].metric("Right by letter", f"{scalars['label_accuracy']['value']:.0%}", border=True)
    columns[1].metric("Right by content", f"{scalars['content_accuracy']['value']:.0%}", border=True)
    columns[2].metric("Loss on the letter", f"{scalars['loss']['value']:.2f} nats", border=True)
    for column, name in zip(columns, ("label_accuracy", "content_accuracy", "loss"), strict=True):
        with column:
            quiet(interval_text(scalars[name], percent=name != "loss"), f"interval {name}")
    st.caption(
        "By letter: the right label is the likeliest of the labels. By content: each option's text is put in the place "
        "of the letter, and the right one has the highest mean log-probability per token."
    )
    figure = letters_bars(result["letters_predicted"], result["letters_right"], result.ticks["label"])
    show_figure(figure, result, key="letters", alt="Letters predicted against letters right")
    st.caption(
        "Where the two bars of a letter differ much, the model favours or avoids that letter, whatever is asked."
    )


def ask_by_letter(client: Client, selection: Selection) -> None:
    """Draw the check over a bank."""
    st.subheader("Does it answer by letter?")
    choose_questions(client, selection, st.container(horizontal=True, vertical_alignment="bottom"), width=320)
    answers = result_at_price(client, selection.ask_bank("check-model"), "check-model", "Ask the questions")
    if answers:
        show_answers(answers)
        show_provenance(answers)


def interval_text(figure: dict[str, float | None], *, percent: bool) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "no interval: too few questions"
    return f"95 %: {low:.0%} to {high:.0%}" if percent else f"95 %: {low:.2f} to {high:.2f}"


client, selection = open_page(
    "The model",
    "Choose a model. The self-check compares what we record with what the model itself computes. The check over a bank "
    "says whether it answers by letter at all: if not, there is no circuit to find.",
    guide="model",
)
choose_model(client, selection)
st.subheader("Self-check")
checked = result_of(client, Request.build("self-check", model=selection.model), "self-check")
if checked:
    show_self_check(checked)
    show_provenance(checked, checks=False)
    ask_by_letter(client, selection)
