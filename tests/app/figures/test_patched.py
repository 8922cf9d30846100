"""Zero means no change in both directions, for exact values and estimates; by hand."""

import numpy as np
import pytest

from app.figures.patched import Effects, View, effect, effect_name, effects_of, estimated
from app.figures.scale import Scale
from backend.contract.result import Array, Result

AXES = ("layer", "position")
RUNS = {"metric": "net_logit", "clean": 0.8, "corrupted": 0.0}


NAN = float("nan")


def rough(first: int = 0) -> Result:
    change = np.array([[[0, 0.6, -0.3]]], np.float32)
    scalars = {
        "metric": "net_logit",
        "clean": 0.8,
        "corrupted": -0.4,
        "tokens": ["a", "b", "c"],
        "roles": ["stem", "stem", "final"],
    }
    scalars["first_difference"] = first
    return Result({}, {"z": Array(change, ("layer", "head", "position"), "logits")}, {}, scalars)


def result() -> Result:
    values = np.array([[0.8, -0.4], [0.2, 1.1]], np.float32)
    recovered = (values + np.float32(0.4)) / np.float32(1.2)
    arrays = {"values": Array(values, AXES, "logits"), "recovered": Array(recovered, AXES, "share")}
    return Result(request={}, arrays=arrays, ticks={}, scalars={"clean": 0.8, "corrupted": -0.4})


@pytest.mark.parametrize(
    ("direction", "shown", "expected"),
    [
        ("denoise", "values", [[1.2, 0], [0.6, 1.5]]),
        ("noise", "values", [[0, -1.2], [-0.6, 0.3]]),
        ("denoise", "recovered", [[1, 0], [0.5, 1.25]]),
        ("noise", "recovered", [[0, 1], [0.5, -0.25]]),
    ],
)
def test_effects_by_hand(direction: str, shown: str, expected: list[list[float]]) -> None:
    found = effect(result(), direction, shown)
    assert found == pytest.approx(np.array(expected), abs=1e-6)
    assert found.dtype == np.float32


def test_names_tell_the_direction() -> None:
    assert effect_name("denoise", "recovered") == "Share recovered"
    assert effect_name("noise", "recovered") == "Share lost"


@pytest.mark.parametrize(
    ("direction", "shown", "expected"),
    [
        ("denoise", "values", [0, 0.6, -0.3]),
        ("noise", "values", [0, 0.6, -0.3]),
        ("denoise", "recovered", [0, 0.5, -0.25]),
        ("noise", "recovered", [0, -0.5, 0.25]),
    ],
)
def test_estimates_by_hand(direction: str, shown: str, expected: list[float]) -> None:
    assert estimated(rough(), "z", direction, shown)[0, 0] == pytest.approx(expected)


def test_an_estimate_means_what_the_exact_value_means() -> None:
    """The estimated change of each of the values is the true one: the two must be the same effects."""
    exact = result()
    for direction, base in (("denoise", -0.4), ("noise", 0.8)):
        change = exact["values"] - np.array(base, np.float32)
        guess = Result({}, {"mlp_out": Array(change, AXES, "logits")}, {}, exact.scalars)
        for shown in ("values", "recovered"):
            found = estimated(guess, "mlp_out", direction, shown)
            assert found == pytest.approx(effect(exact, direction, shown), abs=1e-6)


def test_a_share_of_no_difference_is_unknown() -> None:
    guess = rough()
    same = Result({}, guess.arrays, {}, {"clean": 1.0, "corrupted": 1.0})
    assert np.isnan(estimated(same, "z", "denoise", "recovered")).all()


def test_before_the_first_exact_cell_there_are_estimates_alone() -> None:
    assert effects_of(None, None, View("z", "denoise", "all", "values"), complete=False) is None
    everywhere = effects_of(None, rough(), View("z", "denoise", "all", "values"), complete=False)
    final = effects_of(None, rough(), View("z", "denoise", "final", "values"), complete=False)
    assert everywhere is not None
    assert final is not None
    assert everywhere.positions == (0, 1, 2)
    assert (final.positions, final.tokens, final.roles) == ((2,), ("c",), ("final",))
    assert np.isnan(final.exact).all()
    assert final.known == pytest.approx(np.array([[[-0.3]]], np.float32))


def test_estimates_are_read_at_the_positions_of_the_exact_values() -> None:
    values = Array(np.array([[[NAN, 0.1]]], np.float32), ("layer", "head", "position"), "logits")
    exact = Result(
        {},
        {"values": values, "values_spread": values},
        {"position": ("c", "a")},
        {"positions": [2, 0], **RUNS, "roles": ["stem", "stem", "final"]},
    )
    effects = effects_of(exact, rough(), View("z", "denoise", "all", "values"), complete=False)
    assert effects is not None
    assert effects.estimate[0, 0] == pytest.approx([-0.3, 0])
    assert effects.known[0, 0] == pytest.approx([-0.3, 0.1])
    assert effects.full == pytest.approx(0.3)
    assert effects.scale == Scale(0.8, 0.05)
    assert effects.spread is not None
    assert effects.at(1).tokens == ("a",)
    assert effects.at(1).exact.tolist() == [[np.float32(0.1)]]


def test_tokens_that_both_prompts_begin_with_are_left_out_where_they_stand_for_themselves() -> None:
    values = Array(np.array([[[7, 8, 9]]], np.float32), ("layer", "head", "position"), "logits")
    exact = Result(
        {},
        {"values": values, "values_spread": values},
        {"position": ("a", "b", "c")},
        {"positions": [0, 1, 2], **RUNS, "roles": ["stem", "option", "final"]},
    )
    shown = effects_of(exact, rough(first=1), View("z", "denoise", "all", "values"), complete=True)
    assert shown is not None
    assert shown.spread is not None
    assert shown.exact.tolist() == shown.spread.tolist() == [[[8, 9]]]
    assert (shown.positions, shown.tokens, shown.roles) == ((1, 2), ("b", "c"), ("option", "final"))
    before = effects_of(None, rough(first=1), View("z", "denoise", "all", "values"), complete=False)
    assert before is not None
    assert before.positions == (1, 2)
    assert before.estimate[0, 0] == pytest.approx([0.6, -0.3])
    # Without an estimate it is not known that each token stands for itself.
    unaligned = effects_of(exact, None, View("z", "denoise", "all", "values"), complete=True)
    assert unaligned is not None
    assert unaligned.positions == (0, 1, 2)


def effects(exact: list[float], estimate: list[float], *, complete: bool) -> Effects:
    """Two heads of one layer at one position."""
    of = (
        np.array([[[value] for value in exact]], np.float32),
        np.array([[[value] for value in estimate]], np.float32),
    )
    return Effects(*of, None, Scale(1.0, 0.0), (0,), ("a",), ("stem",), complete=complete)


@pytest.mark.parametrize(
    ("exact", "estimate", "complete", "strongest", "known"),
    [
        ([-3, 2], [9, 9], False, -3, -3),
        ([-3, NAN], [9, 1], False, NAN, -3),  # the other head is not run yet: it may do more
        ([-3, NAN], [9, 5], False, NAN, 5),
        ([-3, NAN], [9, 5], True, -3, -3),  # the other cannot be patched
        ([NAN, NAN], [9, 5], True, NAN, NAN),
        ([NAN, NAN], [NAN, NAN], False, NAN, NAN),
    ],
)
def test_the_strongest_head_is_exact_only_when_all_are(
    exact: list[float], estimate: list[float], *, complete: bool, strongest: float, known: float
) -> None:
    found = effects(exact, estimate, complete=complete).strongest()
    assert found.exact.item() == pytest.approx(strongest, nan_ok=True)
    assert found.known.item() == pytest.approx(known, nan_ok=True)


@pytest.mark.parametrize(
    ("direction", "shown", "whole"),
    [
        ("denoise", "values", 1.2),
        ("noise", "values", -1.2),
        ("denoise", "recovered", 1.0),
        ("noise", "recovered", 1.0),
    ],
)
def test_effects_are_held_against_a_patch_that_does_it_all(direction: str, shown: str, whole: float) -> None:
    found = effects_of(None, rough(), View("z", direction, "all", shown), complete=False)
    assert found is not None
    assert found.scale.reference == pytest.approx(whole)
    assert found.scale.noise == pytest.approx(0.05 if shown == "values" else 0.05 / 1.2)
