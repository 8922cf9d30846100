"""The Paths page: which node it asks about, and the ways on from there."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from tests.app.fake_client import FakeClient
from tests.app.made_up import HEADS, LAYERS
from tests.app.made_up.parts import RUNS
from tests.app.opened import drawn, notices, opened, titles


def asked(**params: str) -> dict[str, Any]:
    client = FakeClient(slow=("paths",))
    at = opened("paths", client, **params)
    assert not at.exception
    (request,) = client.submitted
    return request.params


def test_the_strongest_head_receives_unless_one_is_named() -> None:
    assert asked() == {
        "corruption": {"kind": "swap_options"},
        "metric": {"kind": "net_logit", "label": "A"},
        "receiver": {"head": [3, 2]},
    }
    assert asked(head="L2H1")["receiver"] == {"head": [2, 1]}


@pytest.mark.parametrize(
    ("params", "mode", "node"),
    [
        ({"node": "mlp", "mlp": "4"}, "receiver", {"mlp": 4}),
        ({"node": "mlp", "mlp": "4", "mode": "sender"}, "sender", {"mlp": 4}),
        ({"head": "L1H1", "mode": "sender"}, "sender", {"head": [1, 1]}),
        ({"node": "embedding", "mode": "sender"}, "sender", {"embedding": True}),
    ],
)
def test_the_node_of_the_address_is_asked_about(
    params: dict[str, str], mode: str, node: dict[str, Any]
) -> None:
    assert asked(**params)[mode] == node


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"node": "embedding"}, "Nothing feeds the embedding"),
        ({"node": "mlp", "mlp": "99"}, f"no MLP 99: its layers go from 0 to {LAYERS - 1}"),
        ({"head": "L99H0"}, "no head L99H0"),
    ],
)
def test_a_node_that_there_is_not_is_told(params: dict[str, str], word: str) -> None:
    at = opened("paths", **params)
    assert word in " ".join(notices(at, "warning"))
    assert at.header[0].value in ("L3H2", "MLP 0")
    assert titles(at)


def test_the_lead_names_who_feeds_each_input() -> None:
    at = opened("paths")
    (lead,) = notices(at, "lead")
    assert lead.startswith("L3H2 is fed most in its query by L0H1 (+1 logits), in its ")
    assert ", in its key by " in lead
    assert ", in its value by " in lead
    assert titles(at)[1:] == [f"Heads into L3H2's {at}" for at in ("query", "key", "value")]
    assert titles(at)[0] == "MLPs and the embedding into L3H2"
    assert any("All of L3H2's query at once: " in caption.value for caption in at.caption)


def test_the_lead_names_whom_it_feeds_most_first() -> None:
    (lead,) = notices(opened("paths", mode="sender", node="embedding"), "lead")
    assert lead.startswith(
        "embedding matters most to the query of L0H1 (+1 logits), to MLP 1 (-0.5 logits), to the "
    )
    assert ", to the value of " in lead


def test_where_no_path_stands_out_it_says_so_and_paints_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.app.made_up.nodes.RUNS", RUNS | {"clean": 100.0})
    at = opened("paths")
    (lead,) = notices(at, "lead")
    assert lead == (
        "No path stands out. The largest, from L0H1 into L3H2's query, carries +1 of the +100 logits between both runs."
    )
    for data in drawn(at, "heatmap"):
        (length,) = struct.unpack_from("<I", data)
        assert json.loads(data[4 : 4 + length])["range"] == pytest.approx([-100.4 / 4, 100.4 / 4])


def test_an_mlp_has_one_input() -> None:
    at = opened("paths", node="mlp", mlp="4")
    assert titles(at) == ["MLPs and the embedding into MLP 4", "Heads into MLP 4"]
    assert notices(at, "lead")[0].startswith("MLP 4 is fed most by L0H1 (")


def test_before_the_first_head_there_is_only_the_embedding() -> None:
    at = opened("paths", head="L0H1")
    assert not at.exception
    assert "No head comes before L0H1." in notices(at, "quiet")
    assert set(at.dataframe[0].value["node"]) == {"embedding"}


def test_after_the_last_node_there_is_nothing() -> None:
    at = opened("paths", mode="sender", node="mlp", mlp=str(LAYERS - 1))
    assert not at.exception
    assert titles(at) == []
    assert any(
        f"Only the output itself reads what MLP {LAYERS - 1} writes" in text for text in notices(at, "quiet")
    )
    after = opened("paths", mode="sender", head=f"L{LAYERS - 1}H{HEADS - 1}")
    assert titles(after) == [f"L{LAYERS - 1}H{HEADS - 1} into MLPs"]


@pytest.mark.parametrize(
    ("params", "rows", "own"),
    [
        ({"head": "L2H1"}, [0, 1, 2], [[2, 1]]),
        ({"node": "mlp", "mlp": "2"}, [0, 1, 2], []),
        ({"head": f"L{LAYERS - 2}H1", "mode": "sender"}, [LAYERS - 2, LAYERS - 1], [[0, 1]]),
        ({"node": "embedding", "mode": "sender"}, [*range(LAYERS)], []),
    ],
)
def test_no_layers_are_drawn_that_are_on_no_path(
    params: dict[str, str], rows: list[int], own: list[list[int]]
) -> None:
    heatmaps = drawn(opened("paths", **params), "heatmap")
    assert heatmaps
    for data in heatmaps:
        (length,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + length])
        assert header["rows"] == [str(layer) for layer in rows]
        assert header["marked"] == own
        values = np.frombuffer(data, "<f4", offset=4 + length).reshape(len(rows), HEADS)
        assert np.isnan(values).all(axis=1).nonzero()[0].tolist() == [row for row, _ in own]


def test_the_strongest_path_heads_the_table() -> None:
    table = opened("paths").dataframe[0].value
    assert table.loc[0, ["node", "input"]].to_list() == ["L0H1", "query"]
    assert table.loc[0, "logits"] == 1


def test_the_neighbour_of_a_head_is_one_click_away() -> None:
    at = opened("paths", head="L2H1")
    at.button(key="Next head").click().run()
    assert at.query_params["head"] == "L2H2"
    assert at.header[0].value == "L2H2"


def test_a_head_leads_to_its_paths_whatever_was_looked_at_before() -> None:
    at = opened("head", head="L2H1", node="mlp", mode="sender")
    links = [link.proto for link in at.get("page_link") if link.proto.label == "Who feeds this head?"]
    assert len(links) == 1
    assert "head=L2H1" in links[0].query_string
    assert "node=" not in links[0].query_string
    assert "mode=" not in links[0].query_string
