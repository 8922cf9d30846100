"""Patching over a bank on the page Patching: what it asks for, draws and says."""

import numpy as np
import pytest

from app.figures.patched_bank import patched_bank, strongest_bars
from backend.contract.request import QuestionSet, Request
from tests.app.fake_client import FakeClient
from tests.app.made_up import made_up
from tests.app.opened import notices, opened, titles


def result(**params: object):  # type: ignore[no-untyped-def]
    return made_up(Request.build("patching", questions=QuestionSet("copy-colors", 5), params=params))


def test_the_page_shows_the_mean_and_the_strongest_cells() -> None:
    at = opened("patching", scope="bank", limit="20")
    assert not at.exception
    assert titles(at) == [
        "The cells that do most, with 95 % intervals",
        "Mean over 5 questions: share with z patched",
    ]
    (lead,) = notices(at, "lead")
    assert lead.startswith("Put in alone, L")
    assert " does most: " in lead
    assert "), p = 0.01" in lead
    assert "Means over 5 questions. Clean run: +0.800 logits." in " ".join(notices(at, "plain"))


def test_the_request_names_no_letter_and_the_chosen_positions() -> None:
    client = FakeClient(slow=("patching",))
    opened("patching", client, scope="bank", bank="other", component="mlp_out", where="all")
    request = client.submitted[-1]
    assert request.questions is not None
    assert request.params["component"] == "mlp_out"
    assert request.params["positions"] == "all"
    assert request.params["metric"] == {"kind": "net_logit"}


def test_a_component_without_heads_is_drawn_by_role() -> None:
    at = opened("patching", scope="bank", component="mlp_out", where="all")
    assert not at.exception
    assert titles(at)[1] == "Mean over 5 questions: share with what the MLP writes patched"


def test_heads_at_another_role_are_one_choice_away() -> None:
    at = opened("patching", scope="bank", where="all")
    assert at.selectbox(key="role").value == "final"
    at.selectbox(key="role").select("stem").run()
    assert at.query_params["role"] == "stem"
    assert not at.exception


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("shown", ["recovered", "values"])
def test_bars_are_of_the_largest_cells(direction: str, shown: str) -> None:
    found = result(direction=direction, positions="final")
    bank = patched_bank(found, shown, "final")
    sizes = np.sort(np.abs(bank.value), axis=None)[::-1]
    (bars,) = strongest_bars(bank, "title").data
    assert np.abs(bars.x)[::-1] == pytest.approx(sizes[:12])
    assert (bank.low <= bank.value).all()
    assert (bank.value <= bank.high).all()
    if shown == "recovered" and direction == "noise":
        assert bank.value == pytest.approx(1 - found["recovered"][..., 0])
