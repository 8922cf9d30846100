"""The Effects page: what it asks for, and what it says of what comes back."""

import pytest

from app.figures.effects import EFFECTS
from backend.analyses.circuit.schema import KINDS
from backend.contract.metrics import METRICS
from tests.app.fake_client import FakeClient
from tests.app.made_up.parts import RUNS
from tests.app.opened import notices, opened, titles


def test_the_page_shows_what_the_backend_has() -> None:
    assert set(EFFECTS) == set(KINDS)


def test_the_lead_names_the_writer_and_the_helper() -> None:
    at = opened("effects")
    (lead,) = notices(at, "lead")
    assert lead.startswith(
        "Of all heads L3H2 has the largest direct effect, +2.0 logits (total +1.5); L1H3 acts"
    )
    assert "(total +3.0)" in lead
    assert titles(at) == ["Net logit of the right letter: total and direct effect of each node"]


def test_where_no_node_stands_out_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.app.made_up.nodes.RUNS", RUNS | {"clean": 100.0})
    (lead,) = notices(opened("effects"), "lead")
    assert lead.startswith(
        "No node stands out. The one with the largest effects is L1H3: total +3.0, direct "
    )
    assert lead.endswith(" of the +100 logits between both runs.")


def test_the_table_holds_the_four_effects() -> None:
    table = opened("effects").dataframe[0].value
    assert list(table.columns) == ["node", "total", "direct", "indirect", "interaction"]
    assert set(table["node"][:2]) == {"L3H2", "L1H3"}
    rest = table["total"] - table["direct"] - table["indirect"] - table["interaction"]
    assert rest.abs().max() < 1e-5


def test_a_bank_brings_intervals() -> None:
    at = opened("effects", scope="bank")
    assert "Means over 5 questions, 2 left out that cannot be corrupted in this way." in " ".join(
        notices(at, "plain")
    )
    table = at.dataframe[0].value.set_index("node")
    assert table.loc["L1H3", "total, 95 %"] == "+2.900 to +3.200"
    assert "are 95 % intervals" in " ".join(caption.value for caption in at.caption)


def test_of_one_question_of_a_bank_there_is_no_interval() -> None:
    at = opened("effects", scope="bank", limit="1")
    assert not at.exception
    assert set(at.dataframe[0].value["total, 95 %"]) == {"none"}


def test_the_other_norm_needs_no_other_request() -> None:
    client = FakeClient(slow=("effects",))
    at = opened("effects", client)
    at.segmented_control(key="norm").select("frozen").run()
    assert at.query_params["norm"] == "frozen"
    assert [request.analysis for request in client.submitted] == ["effects"]
    assert opened("effects", norm="frozen").dataframe[0].value["total"].to_list() != (
        opened("effects").dataframe[0].value["total"].to_list()
    )


def test_over_a_bank_the_metric_names_no_letter() -> None:
    client = FakeClient(slow=("effects",))
    opened("effects", client, scope="bank", metric="loss", corruption="random_letters", bank="other")
    (request,) = client.submitted
    assert request.params == {"corruption": {"kind": "random_letters"}, "metric": {"kind": "loss"}}
    assert request.questions is not None


def test_over_a_bank_what_belongs_to_one_question_is_not_offered() -> None:
    client = FakeClient(slow=("effects",))
    at = opened("effects", client, scope="bank", metric="logit_difference", corruption="text")
    assert not at.exception
    (request,) = client.submitted
    assert request.params == {"corruption": {"kind": "swap_options"}, "metric": {"kind": "net_logit"}}


def test_of_one_question_it_does() -> None:
    client = FakeClient(slow=("effects",))
    opened("effects", client, metric="logit_difference", other="C")
    (request,) = client.submitted
    assert request.params["metric"] == {"kind": "logit_difference", "label": "A", "other": "C"}


@pytest.mark.parametrize("metric", METRICS)
def test_the_caption_says_which_side_helps(metric: str) -> None:
    captions = " ".join(caption.value for caption in opened("effects", metric=metric).caption)
    assert ("Below zero it helps" in captions) == (metric in ("loss", "kl"))
    assert ("Above zero it helps" in captions) == (metric not in ("loss", "kl"))


def test_without_a_corrupted_text_nothing_is_asked() -> None:
    client = FakeClient(slow=("effects",))
    at = opened("effects", client, corruption="text")
    assert client.submitted == []
    assert any("Write the corrupted prompt" in text for text in notices(at, "quiet"))
