"""The Mutations page: what it asks for, and what it says of what comes back."""

from dataclasses import replace

import pytest

from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles


def test_nothing_long_begins_by_itself() -> None:
    client = FakeClient(slow=("mutations", "swap-test", "key-steering"))
    at = opened("mutations", client, head="L1H1")
    assert client.submitted == []
    for label in ("Run all mutations", "Run the swap test", "Steer the keys"):
        next(button for button in at.button if button.label == f"{label} (about 2 min)").click().run()
    assert [request.analysis for request in client.submitted] == ["mutations", "swap-test", "key-steering"]
    assert [request.params for request in client.submitted] == [{"head": [1, 1]}] * 3


@pytest.mark.parametrize(("measure", "name"), [("loss", "Loss in nats"), ("accuracy", "Accuracy")])
def test_both_measures(measure: str, name: str) -> None:
    shown = titles(opened("mutations", measure=measure))
    assert f"{name} under each mutation, and with L3H2 changed" in shown
    assert f"{name.split()[0]} from mutation to mutation" in shown


def test_what_the_head_contributes_is_told() -> None:
    lead, *_ = notices(opened("mutations"), "lead")
    assert lead == (
        "With L3H2 at its mean, the loss rises by 0.40 nats on the prompts as they are; under the other mutations "
        "by 0.50 (numbers). With 3 dimensions of its queries and keys it rises by at most 0.05."
    )


def test_dimensions_fitted_elsewhere() -> None:
    at = opened("mutations")
    assert "Loss in nats when fitted under one, run under another" in titles(at)
    assert any(
        "At worst this adds 0.10 nats to the loss with those fitted under the same "
        "(fitted under as it is, run under numbers)." in text
        for text in notices(at, "plain")
    )


@pytest.mark.parametrize("measure", ["loss", "accuracy"])
def test_what_a_pale_column_says_is_about_losses(measure: str) -> None:
    captions = [caption.value for caption in opened("mutations", measure=measure).caption]
    (told,) = (text for text in captions if "pale column" in text)
    assert "full colour is 0.5 nats, as in the table of losses." in told
    assert "where it costs nothing, a pale column says nothing of the head" in told


def test_where_the_head_looks_under_each() -> None:
    assert "Where L3H2 looks, of all labels" in titles(opened("mutations"))


def test_the_measure_is_in_the_address_and_asks_nothing_new() -> None:
    client = FakeClient()
    at = opened("mutations", client)
    at.segmented_control(key="measure").select("accuracy").run()
    assert at.query_params["measure"] == "accuracy"
    assert client.submitted == []


def test_an_example_of_each_mutation() -> None:
    at = opened("mutations")
    assert at.code[0].value == "(A) red\n(B) blue"
    at.selectbox(key="mutation").select("numbers").run()
    assert at.query_params["mutation"] == "numbers"
    assert opened("mutations", mutation="numbers").code[0].value == "(1) red\n(2) blue"
    assert opened("mutations", mutation="nonsense").code[0].value == "(A) red\n(B) blue"


def test_on_which_questions_each_result_rests() -> None:
    told = notices(opened("mutations"), "quiet")
    left_out = "1 left out, the first because of: 3 options, not 4 as most of the questions."
    assert (
        f"as it is: over 5 questions, of which the model answers 1 wrong; {left_out}\n"
        f"numbers: over 4 questions, of which the model answers none wrong; {left_out}\n"
        "Left out. separators: The label 'A)' is not one token.\n"
        "Each fit has 2 queries."
    ) in told
    for kept in (5, 3):  # the swap test's, the key steering's
        assert f"Over {kept} questions, of which the model answers 2 wrong; {left_out}" in told
    captions = [caption.value for caption in opened("mutations").caption]
    assert any(text.startswith("Over 3 questions and the options") for text in captions)


def test_the_index_comes_with_its_interval_and_its_reading() -> None:
    assert "It follows the place: index 0.40 (0.10 to 0.70)." in notices(opened("mutations"), "lead")


def test_the_slider_shows_another_strength_and_asks_nothing_new() -> None:
    client = FakeClient()
    at = opened("mutations", client)

    def lead() -> str:
        return notices(at, "lead")[-1]

    assert lead() == (
        "At strength 1, steered at an option that the model did not choose, the letter becomes that option's in 50% "
        "of cases; with a random direction of the same length in 5%; for comparison, with all of L3H2's attention on "
        "it, in 90%."
    )
    at.select_slider(key="strength").set_value(2.0).run()
    assert at.query_params["strength"] == "2.0"
    assert lead().startswith("At strength 2, ")
    assert client.submitted == []


def test_one_question_is_steered_at_an_option_it_did_not_choose() -> None:
    at = opened("mutations", strength="1.9")
    assert at.select_slider(key="strength").value == 2.0
    assert at.selectbox(key="towards").value == "B"  # the model says A to the first question
    assert opened("mutations", steered="2").selectbox(key="towards").value == "A"
    assert opened("mutations", steered="99").selectbox(key="steered").value == 3
    assert opened("mutations", towards="Q").selectbox(key="towards").value == "B"
    at.selectbox(key="towards").select("D").run()
    assert at.query_params["towards"] == "D"


class OddLabels(FakeClient):
    """Answers key steering with labels that are Markdown."""

    def find(self, request: Request) -> Result | None:
        result = super().find(request)
        if result is None or request.analysis != "key-steering":
            return result
        labels = ["*", "#", "$", "_"]
        questions = [{**one, "answer": "*", "predicted": "$"} for one in result.scalars["questions"]]
        return replace(result, scalars={**result.scalars, "labels": labels, "questions": questions})


def test_labels_are_shown_as_they_are() -> None:
    at = opened("mutations", OddLabels())
    assert "Right is *; as it is, the model says $." in notices(at, "quiet")
    assert not any("Right is" in caption.value for caption in at.caption)
