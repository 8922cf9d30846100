"""A template of the user's own, in the side bar of every page."""

from backend.contract.custom_template import EXAMPLE
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened

OWN = "{stem}\n[{label}] {option}\nSo: {answer}"


def test_an_own_template_begins_with_an_example_and_goes_into_the_request() -> None:
    client = FakeClient(slow=True)
    at = opened("attribution", client, template="custom")
    assert at.text_area(key="custom").value == EXAMPLE
    at.text_area(key="custom").set_value(OWN).run()
    assert at.query_params["custom"] == OWN
    assert notices(at, "warning") == []
    assert {request.prompt.custom for request in client.submitted} == {EXAMPLE, OWN}


def test_a_text_that_cannot_be_a_prompt_is_told_and_paper_is_used() -> None:
    client = FakeClient(slow=True)
    at = opened("attribution", client, template="custom", custom="{stem}")
    (problem,) = notices(at, "warning")
    assert problem.startswith("The template has no {label}.")
    assert problem.endswith("The template paper is used instead.")
    assert {request.prompt.template for request in client.submitted} == {"paper"}


def test_other_templates_have_no_text() -> None:
    at = opened("attribution", template="mmlu", custom=OWN)
    assert not [area for area in at.text_area if area.key == "custom"]
    assert notices(at, "warning") == []
