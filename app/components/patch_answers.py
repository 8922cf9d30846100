"""Patch Lens: what the patched runs say, in words and in bars beside the two runs as they are."""

import json
import math
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.components.notice import sentence
from app.components.patch_grids import Says
from app.figures.replaced import replaced_bars
from app.figures.steering import among_labels
from backend.contract.result import Result
from backend.contract.stream_patch import RUNS, StreamPatch

NAMES = {"clean": "Your question", "corrupted": "The other prompt"}


def says(result: Result, run: str) -> Says:
    """What one run says, and with the patches if it has any."""
    labels = result.scalars["labels"]

    def answer(name: str) -> str:
        logits = result[f"label_logits_{name}"]
        return f"{labels[int(logits.argmax())]} ({float(among_labels(logits).max()):.0%})"

    own = [("says ", False), (answer(run), True)]
    if not result.scalars["cells"][run]:
        return own
    return [*own, (", with what is put in ", False), (answer(f"{run}_patched"), True)]


def tell_patched(result: Result, patches: Sequence[StreamPatch]) -> None:
    """Draw a sentence for each run that is patched."""
    for run in RUNS:
        into = [patch for patch in patches if patch.target == run]
        if into:
            sentence(*patched_parts(result, run, len(into)), key=f"patched {run}", lead=True)


def patched_parts(result: Result, run: str, count: int) -> tuple[str, ...]:
    """What becomes of a run's answer with so many blocks put into it."""
    name = NAMES[run]
    blocks = "this block" if count == 1 else f"these {count} blocks"
    if not result.scalars["cells"][run]:
        return (
            f"{blocks.capitalize()} put into {name.lower()}: ",
            "nothing changes",
            ", because the cells are the same in both runs.",
        )
    labels = result.scalars["labels"]
    before, after = (result[f"label_logits_{run}{suffix}"] for suffix in ("", "_patched"))
    said, now = int(before.argmax()), int(after.argmax())
    told = f"still says {labels[now]}" if said == now else f"says {labels[now]} instead of {labels[said]}"
    shares = [(among_labels(before)[place], among_labels(after)[place]) for place in (said, now)]
    moves = [
        _moved(labels[place], f"{float(first):.0%}", f"{float(second):.0%}")
        for place, (first, second) in dict(zip((said, now), shares, strict=True)).items()
    ]
    return (f"With {blocks} put in, {name[0].lower()}{name[1:]} ", told, f": {', '.join(moves)}.")


def _moved(label: str, before: str, after: str) -> str:
    return f"{label} stays at {after}" if before == after else f"{label} goes from {before} to {after}"


def show_bars(result: Result) -> None:
    """Draw the letters' probabilities of both runs, and of those that are patched."""
    runs = []
    for run in RUNS:
        runs.append((NAMES[run].lower(), result[f"label_logits_{run}"]))
        if result.scalars["cells"][run]:
            runs.append((f"{NAMES[run].lower()}, patched", result[f"label_logits_{run}_patched"]))
    figure = replaced_bars(
        runs, result.scalars["labels"], title="What each run says: the letters' probabilities"
    )
    st.plotly_chart(figure, key="patched letters", alt="Bars of the letters' probabilities in each run")
    st.caption("The bars of a run sum to 100 %: all other tokens are left out.")


def show_tokens(result: Result) -> None:
    """Draw the likeliest tokens of the whole vocabulary, run by run."""
    columns = {}
    for run in RUNS:
        for suffix, added in (
            ("", ""),
            *((("_patched", ", patched"),) if result.scalars["cells"][run] else ()),
        ):
            top = result.scalars["runs"][f"{run}{suffix}"]["top_tokens"]
            columns[f"{NAMES[run]}{added}"] = [
                f"{json.dumps(one['token'], ensure_ascii=False)} {math.exp(one['logprob']):.1%}"
                for one in top
            ]
    st.dataframe(pd.DataFrame(columns), hide_index=True)
