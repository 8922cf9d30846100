import numpy as np
import pytest

from app.figures.net import Node
from app.figures.paths import path_bars, paths_frame, strongest_paths
from app.figures.scale import Scale
from backend.contract.result import Array, Result

NAN = float("nan")
INPUTS = ("query", "key", "value")


def result(mode: str, inputs: tuple[str, ...], **arrays: object) -> Result:
    axes = {
        "heads": ("input", "layer", "head"),
        "mlps": ("input", "layer"),
        "embedding": ("input",),
        "receiver_mlps": ("layer",),
    }
    return Result(
        request={},
        arrays={
            name: Array(np.array(values, np.float32), axes[name], "logits") for name, values in arrays.items()
        },
        ticks={"input": inputs},
        scalars={"mode": mode, "node": "L1H0"},
    )


def into_a_head() -> Result:
    heads = [[[value], [NAN]] for value in (0.5, -2.0, 0.1)]
    return result("receiver", INPUTS, heads=heads, mlps=[[1, NAN], [0, NAN], [0, NAN]], embedding=[0, 0, -3])


def from_a_node() -> Result:
    heads = [[[NAN], [value]] for value in (0.5, -2.0, 0.1)]
    return result("sender", INPUTS, heads=heads, receiver_mlps=[NAN, 4])


def test_paths_into_a_head() -> None:
    frame = paths_frame(into_a_head())
    assert list(frame.index) == ["L0H0", "L1H0", "MLP 0", "MLP 1", "embedding"]
    assert list(frame.columns) == list(INPUTS)
    assert frame.loc["L0H0"].to_list() == pytest.approx([0.5, -2.0, 0.1])
    assert frame.loc["MLP 0", "query"] == 1
    assert frame.loc["embedding", "value"] == -3
    assert frame.loc[["L1H0", "MLP 1"]].isna().all(axis=None)


def test_paths_from_a_node_lead_into_mlps_too() -> None:
    frame = paths_frame(from_a_node())
    assert list(frame.columns) == [*INPUTS, "mlp"]
    assert frame.loc["MLP 1", "mlp"] == 4
    assert np.isnan(frame.loc["L1H0", "mlp"])


def test_paths_into_an_mlp() -> None:
    frame = paths_frame(result("receiver", ("mlp",), heads=[[[1], [2]]], mlps=[[3, NAN]], embedding=[4]))
    assert frame["mlp"].dropna().to_dict() == {"L0H0": 1, "L1H0": 2, "MLP 0": 3, "embedding": 4}


def test_the_strongest_are_furthest_from_zero() -> None:
    assert strongest_paths(paths_frame(into_a_head()), 3) == [
        (Node("embedding", -3, None, None), "value"),
        (Node("L0H0", -2, 0, 0), "key"),
        (Node("MLP 0", 1, 0, None), "query"),
    ]
    assert strongest_paths(paths_frame(from_a_node()), 1) == [(Node("MLP 1", 4, 1, None), "mlp")]


def test_no_more_paths_than_there_are() -> None:
    assert len(strongest_paths(paths_frame(from_a_node()), 99)) == 4


def test_bars_for_what_is_no_head() -> None:
    figure = path_bars(paths_frame(into_a_head()), "nats", "<b>", Scale(20.0, 0.0))
    assert [bar.name for bar in figure.data] == list(INPUTS)
    assert list(figure.data[2].x) == [0, 1, -1]
    assert figure.data[2].y[2] == -3
    assert list(figure.data[2].customdata) == ["MLP 0", "MLP 1", "embedding"]
    assert "emb." in figure.layout.xaxis.ticktext
    assert figure.layout.yaxis.title.text == "nats"
    # A quarter of the whole effect is more than any of them.
    assert figure.layout.yaxis.range == (-5.25, 5.25)
    assert figure.layout.title.text == "&lt;b&gt;"


def test_one_input_needs_no_legend() -> None:
    figure = path_bars(paths_frame(from_a_node()), "logits", "", Scale(0.0, 0.0))
    assert [bar.name for bar in figure.data] == ["mlp"]
    assert not figure.layout.showlegend
