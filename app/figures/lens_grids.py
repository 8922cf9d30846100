"""What the grids of two prompts show: which letter the lens reads at each layer and token, and by how much."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.figures.style import Numbers
from backend.contract.result import Result
from backend.contract.stream_patch import RUNS, StreamPatch

SPANS = {"stem": "From the question on", "all": "The whole prompt"}
MOST_COLUMNS = {"stem": 200, "all": 1000}
"""More of a long prompt cannot be drawn; its last tokens are."""


@dataclass(frozen=True)
class Letters:
    """The two letters whose difference gives the colour, by their index; `same` where both runs say the first."""

    high: int
    low: int
    same: bool


@dataclass(frozen=True)
class LensGrid:
    """One prompt's grid. Rows are depths from the embedding down; columns the positions that are shown.

    Attributes:
        run: clean or corrupted.
        lead: `[row, column]`, the logit of the first letter minus that of the second, with the patches.
        lead_before: the same without them.
        best, best_before: the index of the letter with the highest logit.
        positions: the position of each column.
        counterparts: the position in the other prompt of each column; None where there is none.
        blocks: the cells that were replaced: first and last row, first and last position of this prompt.
    """

    run: str
    tokens: tuple[str, ...]
    roles: tuple[str, ...]
    positions: tuple[int, ...]
    counterparts: tuple[int | None, ...]
    lead: Numbers
    lead_before: Numbers
    best: NDArray[np.int64]
    best_before: NDArray[np.int64]
    blocks: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Words:
    """The likeliest token of each cell: its index in `texts`, `[row, column]`, and its probability."""

    texts: tuple[str, ...]
    index: NDArray[np.int64]
    chance: Numbers


def words_of(lens: Result) -> Words:
    """Those of a result of `lens` that was asked with `top`."""
    ids = lens["top_ids"][..., 0].astype(int)
    found, index = np.unique(ids, return_inverse=True)
    texts = tuple(str(lens.scalars["texts"][str(token)]) for token in found)
    return Words(texts, index.reshape(ids.shape), np.exp(lens["top_logprobs"][..., 0]))


def letters_of(result: Result) -> Letters:
    """What the first run says and what the second one does; where both say the same, that and the runner-up."""
    clean, corrupted = (result[f"label_logits_{run}"] for run in RUNS)
    high, low = int(clean.argmax()), int(corrupted.argmax())
    return Letters(high, low, False) if high != low else Letters(high, int(clean.argsort()[-2]), True)


def scale_of(result: Result, letters: Letters) -> float:
    """Where colours are full: the largest lead at the last token of either run, in logits, without patches."""
    ends = [_lead(result[f"lens_{run}"][:, -1], letters) for run in RUNS]
    return max(float(np.abs(np.concatenate(ends)).max()), 1e-6)


def grids_of(
    result: Result, letters: Letters, span: str, patches: Sequence[StreamPatch]
) -> tuple[LensGrid, LensGrid]:
    """The grids of the clean and of the corrupted prompt; `patches` are those that the result was asked with."""
    match = result.scalars["counterparts"]
    back = {other: position for position, other in enumerate(match) if other is not None}
    texts = {
        "clean": (result.scalars["tokens"], result.scalars["roles"], match),
        "corrupted": (
            result.scalars["corrupted_tokens"],
            result.scalars["corrupted_roles"],
            [back.get(position) for position in range(len(result.scalars["corrupted_tokens"]))],
        ),
    }
    # A block is named by positions of the prompt that it comes from.
    places = {"corrupted": dict(enumerate(match)), "clean": back}
    first, second = (
        _grid(result, letters, run, span, texts[run], _blocks(patches, run, places[run])) for run in RUNS
    )
    return first, second


def shown_from(roles: Sequence[str], span: str) -> int:
    """The first position that is shown: that of the stem, or of the whole prompt; of a long one a later one.

    >>> shown_from(["prelude", "stem", "final"], "stem")
    1
    """
    first = roles.index("stem") if span == "stem" and "stem" in roles else 0
    return max(first, len(roles) - MOST_COLUMNS[span])


def apart_from(clean: Numbers, corrupted: Numbers, letters: Letters) -> int:
    """The first layer, but the last, after which the leads of two lenses `[layer, label]` differ by half of the end.

    From there on they differ by no less. The last layer but one where there is none.

    >>> ends = [np.float32([[0, 0], [lead, 0], [lead, 0], [lead, 0]]) for lead in (4, 0)]
    >>> apart_from(*ends, Letters(0, 1, False))
    1
    """
    apart = np.abs(_lead(clean, letters) - _lead(corrupted, letters))
    below = np.flatnonzero(apart < apart[-1] / 2)
    first = int(below[-1]) + 1 if len(below) else 0
    return max(0, min(first, len(apart) - 2))


def in_words(patch: StreamPatch, tokens: Sequence[str]) -> str:
    """A block for people: where it is, and from which tokens of its prompt on.

    >>> in_words(StreamPatch("clean", (-1, 3), (1, 1)), ("a", " b"))
    "from the embedding to after layer 3, token 1 'b'"
    >>> in_words(StreamPatch("clean", (3, 3), (0, 1)), ("a", " b"))
    "after layer 3, tokens 0 'a' to 1 'b'"
    """
    first, last = patch.layers
    if first == last:
        layers = "the embedding" if first < 0 else f"after layer {first}"
    else:
        layers = f"{'from the embedding' if first < 0 else f'after layer {first}'} to after layer {last}"
    start, end = (f"{at} {tokens[at].strip()!r}" if at < len(tokens) else str(at) for at in patch.positions)
    return (
        f"{layers}, token {start}"
        if patch.positions[0] == patch.positions[1]
        else (f"{layers}, tokens {start} to {end}")
    )


def _blocks(
    patches: Sequence[StreamPatch], run: str, place: dict[int, int | None] | dict[int, int]
) -> tuple[tuple[int, int, int, int], ...]:
    found = []
    for patch in patches:
        at = [place.get(position) for position in range(patch.positions[0], patch.positions[1] + 1)]
        there = [position for position in at if position is not None]
        if patch.target == run and there:
            found.append((patch.layers[0] + 1, patch.layers[1] + 1, min(there), max(there)))
    return tuple(found)


def _grid(
    result: Result,
    letters: Letters,
    run: str,
    span: str,
    texts: tuple[Sequence[str], Sequence[str], Sequence[int | None]],
    blocks: tuple[tuple[int, int, int, int], ...],
) -> LensGrid:
    tokens, roles, counterparts = texts
    first = shown_from(roles, span)
    before, now = (result[f"lens_{run}{suffix}"][:, first:] for suffix in ("", "_patched"))
    return LensGrid(
        run=run,
        tokens=tuple(tokens[first:]),
        roles=tuple(roles[first:]),
        positions=tuple(range(first, len(tokens))),
        counterparts=tuple(counterparts[first:]),
        lead=_lead(now, letters),
        lead_before=_lead(before, letters),
        best=now.argmax(-1),
        best_before=before.argmax(-1),
        blocks=blocks,
    )


def _lead(lens: Numbers, letters: Letters) -> Numbers:
    return np.asarray(lens[..., letters.high] - lens[..., letters.low], np.float32)
