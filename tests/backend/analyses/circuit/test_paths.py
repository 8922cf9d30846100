"""Paths: the hand-wired circuit read off, the whole input bounds its parts, bad requests refused."""

import numpy as np
import pytest

from backend.analyses import Findings, Task
from backend.analyses.circuit.schema import PATHS
from backend.contract.errors import RequestError
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTION = hand_wired.question(1)
TEXT = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}
GATHERER = [hand_wired.GATHERER.layer, hand_wired.GATHERER.head]
LETTER = [hand_wired.CORRECT_LETTER.layer, hand_wired.CORRECT_LETTER.head]


def found(instrument: Instrument, **params: object) -> Findings:
    request = Request.build(
        "paths", question=QUESTION, prompt=hand_wired.SPEC, params={"corruption": TEXT, **params}
    )
    return PATHS.run(instrument, Task(request, (QUESTION,), ((),)), silent)


def test_the_gatherer_feeds_the_query(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, receiver={"head": LETTER})
    whole = result.scalars["clean"] - result.scalars["corrupted"]
    heads = result.arrays["heads"].values
    assert result.ticks["input"] == ("query", "key", "value")
    assert heads[0][tuple(GATHERER)] > 0.9 * whole
    assert result.arrays["whole"].values[0] > 0.9 * whole
    others = heads.copy()
    others[0][tuple(GATHERER)] = 0
    assert np.nanmax(np.abs(others)) < 0.05 * whole
    assert np.isnan(heads[:, LETTER[0] :]).all()
    assert result.scalars["node"] == str(hand_wired.CORRECT_LETTER)
    assert result.checks["oracle_error"][0] < 1e-5


def test_with_other_labels_the_embedding_feeds_key_and_value(hand_wired_instrument: Instrument) -> None:
    result = found(hand_wired_instrument, receiver={"head": LETTER}, corruption={"kind": "shuffle_labels"})
    embedding = result.arrays["embedding"].values
    assert embedding[1] > 0.5
    assert embedding[2] > 0.5
    assert abs(embedding[0]) < 0.05
    assert embedding == pytest.approx(result.arrays["whole"].values, abs=0.05)


def test_whom_the_gatherer_feeds(hand_wired_instrument: Instrument) -> None:
    into = found(hand_wired_instrument, receiver={"head": LETTER})
    out_of = found(hand_wired_instrument, sender={"head": GATHERER})
    heads = out_of.arrays["heads"].values
    expected = into.arrays["heads"].values[:, GATHERER[0], GATHERER[1]]
    assert heads[:, LETTER[0], LETTER[1]] == pytest.approx(expected, abs=1e-5)
    assert np.nanargmax(heads) == np.ravel_multi_index((0, *LETTER), heads.shape)
    assert np.isnan(heads[:, : GATHERER[0] + 1]).all()
    assert not np.isnan(out_of.arrays["receiver_mlps"].values[GATHERER[0] :]).any()


@pytest.mark.parametrize("node", [{"embedding": True}, {"mlp": 0}, {"head": [0, 2]}])
def test_both_ways_agree(family_instrument: Instrument, node: dict[str, object]) -> None:
    """The path from A to B is the same whether all ways out of A or all ways into B are asked for."""
    spec = PromptSpec(template="plain")

    def asked(**params: object) -> dict[str, np.ndarray]:
        request = Request.build(
            "paths",
            question=QUESTION,
            prompt=spec,
            params={"corruption": {"kind": "shuffle_labels"}, **params},
        )
        result = PATHS.run(family_instrument, Task(request, (QUESTION,), ((),)), silent)
        return {name: part.values for name, part in result.arrays.items()}

    def sent(arrays: dict[str, np.ndarray]) -> np.ndarray:
        if "embedding" in node:
            return arrays["embedding"]
        return arrays["mlps"][:, 0] if "mlp" in node else arrays["heads"][:, 0, 2]

    out_of = asked(sender=node)
    into_head, into_mlp = asked(receiver={"head": [2, 1]}), asked(receiver={"mlp": 1})
    assert out_of["heads"][:, 2, 1] == pytest.approx(sent(into_head), abs=1e-5)
    assert out_of["receiver_mlps"][1] == pytest.approx(sent(into_mlp)[0], abs=1e-5)
    assert np.abs(into_head["whole"]).max() > 1e-4


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "either params.receiver or params.sender"),
        ({"receiver": {"head": [0, 0]}, "sender": {"mlp": 0}}, "either params.receiver or params.sender"),
        ({"receiver": {"neuron": 3}}, "must be"),
        ({"receiver": {"head": [5, 0]}}, r"There is no L5H0: hand-wired has layers 0 to 1 and heads 0 to 3"),
        ({"sender": {"mlp": 9}}, "There is no MLP 9"),
        ({"sender": {"mlp": -1}}, "named by its layer"),
        ({"sender": {"embedding": False}}, "named by true, not False"),
        ({"receiver": {"embedding": True}}, "The embedding receives nothing"),
    ],
)
def test_bad_ends_are_refused(
    hand_wired_instrument: Instrument, params: dict[str, object], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        found(hand_wired_instrument, **params)
