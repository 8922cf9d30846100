"""Story's lens at all tokens: asked for only when it is switched on."""

import numpy as np
import pytest

from app.components.story_lens import everywhere
from backend.contract.request import Request
from backend.contract.result import Array, Result
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles


class Counting(FakeClient):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def find(self, request: Request) -> Result | None:
        self.asked.append(request.analysis)
        return super().find(request)


def test_all_tokens_are_read_on_demand_and_the_address_keeps_it() -> None:
    client = Counting()
    at = opened("story", client)
    assert "lens" not in client.asked
    at.toggle(key="everywhere").set_value(True).run()
    assert "lens" in client.asked
    assert "The lens at each token: the lead of A over the next letter" in titles(at)
    again = opened("story", everywhere="True")
    assert "The lens at each token: the lead of A over the next letter" in titles(again)
    assert any(text.startswith("Orange: the lens reads A") for text in notices(again, "quiet"))


def test_colours_are_the_lead_over_the_best_other_letter_from_the_stem_on() -> None:
    logits = np.array([[[9, 9, 9], [1, 2, 3], [4, 1, 2]], [[9, 9, 9], [0, 5, 1], [6, 1, 0]]], np.float32)
    result = Result(
        request={},
        arrays={"label_logits": Array(logits, ("depth", "position", "label"), "logits")},
        ticks={"depth": ("embedding", "0")},
        scalars={"tokens": list("abc"), "roles": ["prelude", "stem", "final"], "labels": ["A", "B", "C"]},
    )
    heatmap = everywhere(result, 0)
    assert heatmap.values.tolist() == [[-2, 2], [-5, 5]]
    assert (list(heatmap.columns), list(heatmap.rows)) == (["b", "c"], ["embedding", "0"])
    assert heatmap.range == pytest.approx((-5, 5))
