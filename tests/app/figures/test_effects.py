import numpy as np
import pandas as pd
import pytest

from app.figures.effects import (
    EFFECTS,
    effects_frame,
    effects_scatter,
    strongest_nodes,
    with_room,
    writer_and_helper,
)
from app.figures.scale import Scale
from backend.contract.result import Array, Result

HEADS = {"total": [[0.1, 2.0]], "direct": [[0.0, 0.5]], "indirect": [[0.1, 1.4]], "interaction": [[0.0, 0.1]]}
MLPS = {"total": [-1.0], "direct": [-3.0], "indirect": [2.0], "interaction": [0.0]}


BARE = Scale(0.0, 0.0)


def result(*, bank: bool = False) -> Result:
    """One layer of two heads; with the norm frozen all is doubled. Over a bank, from 0.1 below to 0.2 above."""
    arrays = {}
    for kind, effects, axes in (("heads", HEADS, ("layer", "head")), ("mlps", MLPS, ("layer",))):
        for effect, listed in effects.items():
            values = np.stack([np.array(listed, np.float32), 2 * np.array(listed, np.float32)])
            named = {"": values, **({"_low": values - 0.1, "_high": values + 0.2} if bank else {})}
            for end, shifted in named.items():
                array = Array(np.asarray(shifted, np.float32), ("norm", *axes), "logits")
                arrays[f"{kind}_{effect}{end}"] = array
    return Result(request={}, arrays=arrays, ticks={"norm": ("recomputed", "frozen")}, scalars={})


def test_a_row_for_each_node_at_the_chosen_norm() -> None:
    frame = effects_frame(result(), "recomputed")
    assert list(frame.index) == ["L0H0", "L0H1", "MLP 0"]
    assert list(frame.columns) == list(EFFECTS)
    assert frame.loc["L0H1"].to_list() == pytest.approx([2.0, 0.5, 1.4, 0.1])
    assert frame.loc["MLP 0"].to_list() == pytest.approx([-1.0, -3.0, 2.0, 0.0])
    assert np.allclose(effects_frame(result(), "frozen"), 2 * frame)


def test_the_strongest_by_whichever_effect() -> None:
    assert strongest_nodes(effects_frame(result(), "recomputed"), 2) == ["MLP 0", "L0H1"]


def test_who_writes_and_who_acts_through_others() -> None:
    effects = [
        {"total": 0.1, "direct": 0.9, "indirect": -0.8, "interaction": 0.0},
        {"total": -0.6, "direct": -0.1, "indirect": -0.5, "interaction": 0.0},
        {"total": 0.7, "direct": 0.4, "indirect": 0.3, "interaction": 0.0},
    ]
    frame = pd.DataFrame(effects, index=["L1H0", "L0H1", "L0H0"])
    frame.loc["MLP 0"] = [9.0, 5.0, 4.0, 0.0]
    assert writer_and_helper(frame) == ("L1H0", "L0H1")


def test_direct_across_and_total_up_over_the_whole_width() -> None:
    figure = effects_scatter(
        effects_frame(result(), "recomputed"), "nats", "<b>", {"MLP 0": "top left"}, BARE
    )
    heads, mlps, names = figure.data
    assert (heads.name, mlps.name) == ("head", "MLP")
    assert heads.marker.symbol != mlps.marker.symbol
    assert np.allclose(heads.x, [0.0, 0.5])
    assert np.allclose(heads.y, [0.1, 2.0])
    assert list(heads.text) == ["L0H0", "L0H1"]
    assert np.allclose(heads.customdata[1], [1.4, 0.1])
    assert list(names.text) == ["MLP 0"]
    assert list(names.textposition) == ["top left"]
    assert names.error_x.array is None
    assert figure.layout.yaxis.scaleanchor is None
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.xaxis.range[0] < -3 < 2 < figure.layout.xaxis.range[1]
    assert figure.layout.xaxis.nticks == figure.layout.yaxis.nticks > 0
    assert figure.layout.yaxis.title.text == "total effect, nats"
    assert figure.layout.title.text == "&lt;b&gt;"


def test_the_line_has_total_equal_to_direct() -> None:
    (line,) = effects_scatter(effects_frame(result(), "recomputed"), "logits", "", {}, BARE).layout.shapes
    assert (line.x0, line.x1) == (line.y0, line.y1)
    assert line.x0 < -3 < 2 < line.x1


def test_named_nodes_carry_their_intervals() -> None:
    figure = effects_scatter(
        effects_frame(result(bank=True), "recomputed"), "logits", "", {"L0H1": "top left"}, BARE
    )
    names = figure.data[2]
    low, high = figure.layout.xaxis.range
    assert low < -3.1
    assert high > 2.2
    for error in (names.error_x, names.error_y):
        assert np.allclose(error.array, 0.2, atol=1e-6)
        assert np.allclose(error.arrayminus, 0.1, atol=1e-6)


def nodes(**places: tuple[float, float]) -> pd.DataFrame:
    """Nodes at (direct, total) in a picture that goes from 0 to 1 both ways."""
    ends = {"first": (0.0, 0.0), "last": (1.0, 1.0)}
    return pd.DataFrame.from_dict({**places, **ends}, orient="index", columns=["direct", "total"])


def test_a_name_stands_in_the_first_corner_that_is_free() -> None:
    assert with_room(nodes(a=(0.5, 0.5)), ["a"], BARE) == {"a": "top left"}
    assert with_room(nodes(a=(0.5, 0.5), other=(0.45, 0.53)), ["a"], BARE) == {"a": "top right"}
    # The left edge is too near for either corner on the left.
    assert with_room(nodes(a=(0.05, 0.5), other=(0.1, 0.53)), ["a"], BARE) == {"a": "bottom right"}


def test_names_that_would_overlap_give_way_to_the_first() -> None:
    frame = nodes(a=(0.5, 0.5), b=(0.505, 0.505), c=(0.5, 0.8))
    assert with_room(frame, ["a", "b", "c"], BARE) == {"a": "top left", "b": "top right", "c": "top left"}
    assert with_room(frame, ["b", "a", "c"], BARE)["b"] == "top left"


def test_without_a_free_corner_there_is_no_name() -> None:
    around = {f"{x}{y}": (0.5 + x, 0.5 + y) for x in (-0.05, 0.05) for y in (-0.02, 0.02)}
    assert "a" not in with_room(nodes(a=(0.5, 0.5), **around), ["a"], BARE)


def test_nodes_without_any_effect_are_drawn() -> None:
    frame = 0 * effects_frame(result(), "recomputed")
    figure = effects_scatter(frame, "logits", "", with_room(frame, list(frame.index), BARE), BARE)
    assert figure.layout.xaxis.range[0] < 0 < figure.layout.xaxis.range[1]


def test_small_effects_leave_room_around_them() -> None:
    """Of a whole of 40 an effect of 2 is not drawn at the edge."""
    frame = effects_frame(result(), "recomputed")
    figure = effects_scatter(frame, "logits", "", {}, Scale(40.0, 0.0))
    low, high = figure.layout.xaxis.range
    assert high - low > 10
    assert low < -5
    assert high > 4
