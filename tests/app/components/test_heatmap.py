import json
import struct
from dataclasses import replace
from typing import Any

import numpy as np

from app.components.heatmap import head_grid


def unpacked(data: bytes) -> tuple[dict[str, Any], np.ndarray]:
    (length,) = struct.unpack_from("<I", data)
    return json.loads(data[4 : 4 + length]), np.frombuffer(data, "<f4", offset=4 + length)


def test_numbers_arrive_as_float32_behind_an_aligned_header() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    header, numbers = unpacked(head_grid("t", "logits", values, diverging=True).packed(clickable=True))
    assert numbers.tolist() == values.ravel().tolist()
    assert header["columns"] == ["0", "1", "2"]
    assert header["clickable"] is True


def test_a_diverging_scale_is_centred_on_zero() -> None:
    values = np.array([[1, -4]], np.float32)
    assert head_grid("t", "logits", values, diverging=True).range == (-4, 4)
    shares = np.array([[0.2, 0.4]], np.float32)
    assert head_grid("t", "share", shares, diverging=False).range == (0, float(shares[0, 1]))
    assert head_grid("t", "logits", np.zeros((1, 2), np.float32), diverging=True).range == (-1, 1)


def test_intervals_follow_the_values() -> None:
    values = np.array([[1, 2]], np.float32)
    grid = head_grid(
        "t", "logits", values, diverging=True, interval=(values - 1, values + 1), marked=[(0, 1)]
    )
    header, numbers = unpacked(grid.packed(clickable=False))
    assert header["arrays"] == ["values", "low", "high"]
    assert numbers.tolist() == [1, 2, 0, 1, 2, 3]
    assert header["marked"] == [[0, 1]]


def test_estimates_and_spreads_are_named_in_the_header() -> None:
    values = np.array([[1, np.nan]], np.float32)
    grid = replace(
        head_grid("t", "logits", np.array([[1, 2]], np.float32), diverging=True),
        values=values,
        estimate=values + 2,
        spread=values / np.float32(2),
        missing="not patched",
    )
    header, numbers = unpacked(grid.packed(clickable=True))
    assert header["arrays"] == ["values", "estimate", "spread"]
    assert header["missing"] == "not patched"
    assert np.array_equal(numbers, np.array([1, np.nan, 3, np.nan, 0.5, np.nan], np.float32), equal_nan=True)


def test_any_title_survives() -> None:
    title = 'L "quoted" </script> ☝️ لا'
    header, _ = unpacked(
        head_grid(title, "", np.zeros((1, 1), np.float32), diverging=False).packed(clickable=False)
    )
    assert header["title"] == title


def test_eighty_layers_by_sixty_four_heads_are_small() -> None:
    assert (
        len(head_grid("t", "", np.zeros((80, 64), np.float32), diverging=True).packed(clickable=True))
        < 25_000
    )


def test_tokens_as_ticks_have_roles() -> None:
    grid = replace(
        head_grid("t", "logits", np.zeros((1, 2), np.float32), diverging=True), roles=("option 1", "final")
    )
    header, _ = unpacked(grid.packed(clickable=True))
    assert header["roles"] == ["option", "final"]
    assert {"option", "final"} <= {kind[0] for kind in header["kinds"]}
