"""A head's queries and keys as points in the drawn dimensions, and their products there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from app.figures.style import plain, stem_lines
from backend.contract.result import Result

Vectors = NDArray[np.float32]

AXES = ("x", "y", "z")
COLOURINGS = {
    "label": "Label",
    "letter": "Right letter",
    "place": "Place in the list",
    "verdict": "Right or wrong",
    "subject": "Subject",
}
"""What points can be coloured by."""


@dataclass(frozen=True)
class Pictured:
    """The space of a picture: three components of one result. Vectors of another can be put into it.

    Attributes:
        q_mean, k_mean: `[d_head]`, what stands at the origin.
        q_basis, k_basis: `[axis, d_head]`, the same where the result is stacked.
        key_scale: keys are drawn to the queries' scale, since attention has only their product.
    """

    q_mean: Vectors
    k_mean: Vectors
    q_basis: Vectors
    k_basis: Vectors
    key_scale: float

    @classmethod
    def of(cls, result: Result, components: Sequence[int]) -> "Pictured":
        """`components` count from 0."""
        q, k, chosen = result["q"], result["k"], list(components)
        means = q.mean(axis=0), k.mean(axis=(0, 1))
        bases = result["basis"][chosen], result["k_basis"][chosen]
        spreads = [
            float(np.sqrt(np.square((vectors - mean) @ basis.T).mean()))
            for vectors, mean, basis in zip((q, k), means, bases, strict=True)
        ]
        return cls(*means, *bases, key_scale=spreads[0] / (spreads[1] or 1.0))

    def queries(self, q: Vectors) -> Vectors:
        """`[..., d_head]` to `[..., axis]`, about the queries' mean."""
        return np.asarray((q - self.q_mean) @ self.q_basis.T, np.float32)

    def keys(self, k: Vectors) -> Vectors:
        """`[..., d_head]` to `[..., axis]` as drawn, about the keys' mean."""
        return np.asarray(self.key_scale * ((k - self.k_mean) @ self.k_basis.T), np.float32)

    def products_along(self, k: Vectors) -> Vectors:
        """`[..., d_head]` to `[..., axis]`: where, seen from the origin, queries have the largest product with a key.

        The product of a query at coordinates `a` with that key is `a` times this, and what is not pictured.
        """
        return np.asarray((k - self.k_mean) @ self.q_basis.T, np.float32)


def points_frame(
    result: Result, components: Sequence[int], others: Mapping[str, Result] | None = None
) -> pd.DataFrame:
    """A row for each query, then for each key, at its coordinates along three components, counted from 0.

    The other columns are what points are coloured by, `kind`, `item` (the question's index in its bank), `text`, and
    `among`: empty, or the name of one of the `others`, which are put into the same space.
    """
    pictured = Pictured.of(result, components)
    named = {"": result, **(others or {})}
    return pd.concat([_frame(one, pictured, name) for name, one in named.items()], ignore_index=True)


def _frame(result: Result, pictured: Pictured, among: str) -> pd.DataFrame:
    questions, labels = result["k"].shape[:2]
    listed = result.scalars["questions"]
    right = result["right"].astype(int)
    names = result.scalars["labels"]
    common: dict[str, list[Any]] = {
        "row": list(range(questions)),
        "item": [-1 if question["item"] is None else question["item"] for question in listed],
        "letter": [names[index] for index in right],
        "subject": [question["subject"] or "none" for question in listed],
    }
    queries = pd.DataFrame(
        {
            **common,
            "kind": "query",
            "label": common["letter"],
            "place": [str(index + 1) for index in right],
            "verdict": ["right" if question["right"] else "wrong" for question in listed],
        }
    )
    keys = pd.DataFrame({name: np.repeat(values, labels) for name, values in common.items()})
    of_label = np.tile(np.arange(labels), questions)
    keys["kind"] = "key"
    keys["label"] = [names[index] for index in of_label]
    keys["place"] = [str(index + 1) for index in of_label]
    keys["verdict"] = np.where(of_label == np.repeat(right, labels), "right", "wrong")
    queries[list(AXES)] = pictured.queries(result["q"])
    keys[list(AXES)] = pictured.keys(result["k"]).reshape(-1, len(AXES))
    frame = pd.concat([queries, keys], ignore_index=True)
    frame["among"] = among
    frame["text"] = [_hover_text(listed[row.row], row) for row in frame.itertuples()]
    return frame


def directions(result: Result, components: Sequence[int]) -> dict[str, Vectors]:
    """For each label the direction in which a query's product with its mean key grows, `[axis]`."""
    ends = Pictured.of(result, components).products_along(result["k"].mean(axis=0))
    return dict(zip(result.scalars["labels"], ends, strict=True))


def products_right(result: Result, components: Sequence[int]) -> tuple[float, float]:
    """On which share of questions the product of query and key is largest for the right label among the labels.

    First by the drawn dimensions, about the means, then by the full vectors.
    """
    pictured, q, k = Pictured.of(result, components), result["q"], result["k"]
    drawn = np.einsum("qd,qld->ql", pictured.queries(q), pictured.products_along(k))
    full = np.einsum("qd,qld->ql", q, k)
    hits = [(products.argmax(axis=1) == result["right"]).mean() for products in (drawn, full)]
    return float(hits[0]), float(hits[1])


@dataclass(frozen=True)
class Followed:
    """On which share of changed prompts a point is nearest to the base points of the same place, or letter.

    Without a letter where the labels are other ones altogether.
    """

    place: float
    letter: float | None


def followed(frame: pd.DataFrame, kind: str, among: str) -> Followed:
    """Where the points of one kind (query or key) among one of the others lie, seen from the middles of the base's.

    Their own colours' columns say the truth: `place`, and `label`.
    """
    own = frame[frame["kind"] == kind]
    base, other = own[own["among"] == ""], own[own["among"] == among]
    middles = base.groupby("place")[list(AXES)].mean()
    labels = base.groupby("place")["label"].first()
    offsets = other[list(AXES)].to_numpy()[:, None] - middles.to_numpy()[None]
    nearest = middles.index[np.square(offsets).sum(-1).argmin(axis=1)]
    place = float((nearest == other["place"]).mean())
    if not set(other["label"]) <= set(frame.loc[frame["among"] == "", "label"]):
        return Followed(place, None)
    return Followed(place, float((labels.loc[nearest].to_numpy() == other["label"].to_numpy()).mean()))


def _hover_text(question: Mapping[str, Any], row: Any) -> str:
    what = f"key of label {plain(row.label)}" if row.kind == "key" else "query of the final token"
    if row.among:
        what += f", {plain(row.among)}"
    return (
        f"{stem_lines(question['stem'])}<br>right: {plain(row.letter)}, "
        f"the model says {plain(str(question['predicted']))}<br>{what}"
    )
