from dataclasses import replace

import numpy as np
import pytest

from app.figures.subspace_points import Followed, Pictured, directions, followed, points_frame, products_right
from backend.contract.result import Array, Result
from tests.app.figures.test_subspace import result as result

FIRST = (0, 1, 2)


def with_arrays(result: Result, **changed: np.ndarray) -> Result:
    arrays = {
        name: Array(np.asarray(values, np.float32), result.arrays[name].axes, "")
        for name, values in changed.items()
    }
    return replace(result, arrays={**result.arrays, **arrays})


def test_coordinates_are_those_of_the_analysis(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2))
    queries, keys = frame[frame["kind"] == "query"], frame[frame["kind"] == "key"]
    assert np.allclose(queries[["x", "y", "z"]], result["points_q"], atol=1e-4)
    drawn, told = keys[["x", "y", "z"]].to_numpy(), result["points_k"].reshape(-1, 3)
    scale = np.linalg.norm(drawn) / np.linalg.norm(told)
    assert np.allclose(drawn, scale * told, atol=1e-4)
    assert np.sqrt(np.square(drawn).mean()) == pytest.approx(
        np.sqrt(np.square(result["points_q"]).mean()), rel=1e-4
    )


def test_other_components_can_be_chosen(result: Result) -> None:
    swapped = points_frame(result, (2, 0, 4))
    first = points_frame(result, (0, 1, 2))
    queries = swapped["kind"] == "query"
    assert np.allclose(swapped.loc[queries, "x"], first.loc[queries, "z"])
    assert np.allclose(swapped.loc[queries, "y"], first.loc[queries, "x"])


def test_what_the_colours_say(result: Result) -> None:
    frame = points_frame(result, (0, 1, 2)).set_index(["kind", "row"])
    assert list(frame.loc["query", "label"]) == ["A"] * 4 + ["B"]
    assert list(frame.loc["query", "place"]) == ["1"] * 4 + ["2"]
    assert list(frame.loc["query", "verdict"]) == ["right", "wrong", "right", "wrong", "wrong"]
    last = frame.loc[("key", 4)]
    assert list(last["label"]) == ["A", "B", "C", "D"]
    assert list(last["letter"]) == ["B"] * 4
    assert list(last["verdict"]) == ["wrong", "right", "wrong", "wrong"]
    assert set(last["subject"]) == {"directions"}


def test_markup_in_a_stem_stays_text(result: Result) -> None:
    question = {**result.scalars["questions"][0], "stem": "<img src=x> " + "long " * 100}
    questions = [question, *result.scalars["questions"][1:]]
    frame = points_frame(replace(result, scalars={**result.scalars, "questions": questions}), (0, 1, 2))
    assert frame["text"][0].startswith("&lt;img src=x&gt; long")
    assert len(frame["text"][0]) < 400


@pytest.fixture
def own_bases(result: Result) -> Result:
    """Queries and keys that differ in three dimensions only, each in other ones."""
    drawn = np.random.default_rng(1)
    q_basis, k_basis = (np.linalg.qr(drawn.normal(size=(6, 6)))[0] for _ in range(2))
    return with_arrays(
        result,
        q=drawn.normal(size=(5, 3)) @ q_basis[:3] + drawn.normal(size=6),
        k=drawn.normal(size=(5, 4, 3)) @ k_basis[:3] + drawn.normal(size=6),
        basis=q_basis,
        k_basis=k_basis,
    )


def test_keys_stand_in_their_own_dimensions(own_bases: Result) -> None:
    pictured = Pictured.of(own_bases, FIRST)
    keys = pictured.keys(own_bases["k"]) / pictured.key_scale
    centred = own_bases["k"] - own_bases["k"].mean((0, 1))
    assert np.allclose(np.linalg.norm(keys, axis=-1), np.linalg.norm(centred, axis=-1), atol=1e-4)


def test_a_query_along_a_direction_has_the_product_it_says(own_bases: Result) -> None:
    q, k = own_bases["q"], own_bases["k"]
    products = (q - q.mean(0)) @ (k.mean(0) - k.mean((0, 1))).T
    ends = np.stack(list(directions(own_bases, FIRST).values()))
    assert np.allclose(Pictured.of(own_bases, FIRST).queries(q) @ ends.T, products, atol=1e-4)


def test_products_find_the_right_label_where_it_is_pictured(result: Result) -> None:
    assert products_right(result, FIRST) == (1.0, 1.0)
    turned = with_arrays(result, q=-result["q"])
    assert products_right(turned, FIRST) == (0.0, 0.0)
    # In the dimensions that are left the keys differ by chance alone, and the whole vectors still say it.
    pictured, whole = products_right(result, (3, 4, 5))
    assert whole == 1.0
    assert pictured < 1.0


def test_others_stand_in_the_same_space(result: Result) -> None:
    moved = with_arrays(result, q=result["q"] + np.eye(6)[1], k=result["k"] + np.eye(6)[2])
    frame = points_frame(result, FIRST, {"moved": moved}).set_index(["among", "kind"])
    by = {
        key: frame.loc[("moved", key), ["x", "y", "z"]].to_numpy() - frame.loc[("", key), ["x", "y", "z"]]
        for key in ("query", "key")
    }
    assert np.allclose(by["query"], [0, 1, 0], atol=1e-4)
    assert np.allclose(by["key"], [0, 0, Pictured.of(result, FIRST).key_scale], atol=1e-4)


def test_place_and_letter_are_told_apart(result: Result) -> None:
    scalars = {**result.scalars, "labels": ["B", "C", "D", "A"]}
    by_place = replace(result, scalars=scalars)
    by_letter = with_arrays(by_place, k=np.roll(result["k"], -1, axis=1))
    frame = points_frame(result, FIRST, {"place": by_place, "letter": by_letter})
    assert followed(frame, "key", "place") == Followed(1.0, 0.0)
    assert followed(frame, "key", "letter") == Followed(0.0, 1.0)
    other = replace(result, scalars={**result.scalars, "labels": ["1", "2", "3", "4"]})
    numbers = points_frame(result, FIRST, {"numbers": other})
    assert followed(numbers, "query", "numbers") == Followed(1.0, None)
