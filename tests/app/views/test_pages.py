import json
import re
from dataclasses import replace

import pytest

from app import navigation
from app.components.next_page import NEXT
from backend.contract.cards import ResolvedModel
from backend.contract.errors import ModelError
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from tests.app.fake_client import FakeClient
from tests.app.opened import PAGES, drawn, notices, opened, titles

OWN = json.dumps({"stem": "What is <b>x</b>?", "options": ["*a*", "b"], "answer": None})
PICTURES = {
    "story": 6,
    "question": 3,
    "attribution": 2,
    "attention": 2,
    "patching": 2,
    "patch_lens": 2,
    "effects": 1,
    "heads": 2,
    "paths": 4,
    "circuit": 3,
    "head": 6,
    "subspace": 3,
    "mutations": 8,
    "model": 1,
    "drift": 2,
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"question": OWN, "labels": "K P X Z", "template": "chat", "shots": "2"},
        {
            "bank": "other",
            "item": "2",
            "scope": "bank",
            "limit": "20",
            "head": "L1H1",
            "reading": "value-weighted",
        },
    ],
)
def test_every_page_shows_its_pictures(page: str, params: dict[str, str]) -> None:
    at = opened(page, quantization="4bit", **params)
    assert not at.exception
    assert not notices(at, "error")
    assert not notices(at, "warning")
    assert len(titles(at)) == PICTURES[page]
    assert all(titles(at))


@pytest.mark.parametrize("page", PAGES)
def test_nonsense_in_the_address_is_told_and_the_rest_shown(page: str) -> None:
    at = opened(
        page,
        quantization="8bit",
        item="x",
        head="L99H99",
        dtype="int4",
        labels="A A",
        bank="nope",
        role="<b>",
        letter="Q",
        zz="1",
    )
    assert not at.exception
    told = " ".join(notices(at, "warning"))
    assert all(word in told for word in ("'x'", "int4", "nope", "'zz'", "'Q'", "A A"))
    assert len(titles(at)) == PICTURES[page]


@pytest.mark.parametrize("page", PAGES)
def test_an_error_is_one_box_of_text_and_a_way_on(page: str) -> None:
    client = FakeClient(error=ModelError("The file <b>x</b> is *not* complete. Fetch it again."))
    at = opened(page, client, quantization="4bit")
    assert not at.exception
    assert set(notices(at, "error")) == {"The file <b>x</b> is *not* complete. Fetch it again."}
    asked = len(client.submitted)
    client.error = None
    at.button[-1].click().run()
    assert not at.exception
    assert len(client.submitted) <= asked + 2


@pytest.mark.parametrize("page", PAGES)
def test_long_work_shows_progress_and_can_be_cancelled(page: str) -> None:
    client = FakeClient(slow=True)
    at = opened(page, client, quantization="4bit")
    assert not at.exception
    assert "Going through the questions · 3 of 10 · about 41 s left" in notices(at, "quiet")
    next(button for button in at.button if button.label == "Cancel").click().run()
    assert client.cancelled


def test_a_new_question_cancels_the_job_of_the_one_before() -> None:
    client = FakeClient(slow=True)
    at = opened("question", client)
    at.button(key="Next question").click().run()
    assert client.cancelled == ["1"]
    assert [request.question for request in client.submitted] == list(client.banked["copy-colors"][:2])


def test_going_to_the_next_question_is_in_the_address() -> None:
    at = opened("question")
    at.button(key="Next question").click().run()
    assert at.query_params == {"model": DEFAULT_MODEL, "item": "2"}
    at.selectbox(key="labels").select("1").run()
    assert at.query_params == {"model": DEFAULT_MODEL, "item": "2", "labels": "1"}


def test_another_bank_begins_at_its_first_question() -> None:
    at = opened("question", item="4", subject="shapes")
    at.selectbox(key="bank").select("other").run()
    assert at.query_params == {"model": DEFAULT_MODEL, "bank": "other", "item": "1"}


def test_the_verdict_names_letter_option_and_whether_it_is_right() -> None:
    (verdict,) = notices(opened("question"), "lead")
    assert verdict == "The model says A, red, and that is right."


def test_the_headline_names_heads_and_mlps_for_and_against() -> None:
    (lead,) = notices(opened("attribution"), "lead")
    number = r"\([+]\d\.\d\d logits\)"
    assert re.fullmatch(
        rf"Most for A is written by head L3H2 {number} and by MLP \d {number}\. "
        rf"Most against it by head L\dH\d {number.replace('[+]', '-')} and by MLP \d {number.replace('[+]', '-')}\.",
        lead,
    ), lead
    (lead,) = notices(opened("attribution", scope="bank"), "lead")
    assert lead.startswith("Most for the right letter is written by head L3H2 (+4.00 logits) and by MLP ")


def test_letters_are_offered_one_by_one() -> None:
    at = opened("attribution", letter="B")
    assert titles(at)[:2] == ["Written for B: MLPs", "Written for B: heads and MLPs"]
    at.selectbox(key="letter").select("").run()
    assert titles(at)[0] == "Net effect on A, the right letter: MLPs"


def test_without_a_right_answer_the_predicted_letter_is_the_target() -> None:
    assert "Net effect on P, the letter said: MLPs" in titles(
        opened("attribution", question=OWN, labels="K P")
    )


def test_the_strongest_node_heads_the_table() -> None:
    assert opened("attribution", scope="bank").dataframe[0].value["node"][0] == "L3H2"
    assert opened("attribution").dataframe[0].value["node"][0] == "L3H2"


def test_the_head_page_takes_the_strongest_head_where_none_is_named() -> None:
    assert opened("head").header[0].value == "L3H2"
    assert opened("head", head="L1H0").header[0].value == "L1H0"


def test_the_neighbour_of_a_head_is_one_click_away() -> None:
    at = opened("head", head="L1H3")
    at.button(key="Next head").click().run()
    assert at.query_params["head"] == "L2H0"


def test_html_in_a_stem_reaches_the_page_as_text_only() -> None:
    at = opened("question", question=OWN)
    (tokens,) = drawn(at, "tokens")
    assert "What is <b>x</b>?" in tokens["tokens"]
    assert not any("<b>" in element.value for element in (*at.markdown, *at.caption))


@pytest.mark.parametrize("page", ["question", "attribution"])
def test_an_endless_option_leaves_room_for_the_rest(page: str) -> None:
    endless = json.dumps({"stem": "x" * 5000, "options": ["y" * 5000, "z" * 5000], "answer": 1})
    at = opened(page, question=endless)
    told = [text for kind in ("lead", "plain", "quiet") for text in notices(at, kind)]
    assert max(map(len, told)) < 700
    assert "…" in " ".join(told)


@pytest.mark.parametrize("page", ["attribution", "attention", "effects"])
def test_the_question_in_hand_is_told_where_it_is_the_one_shown(page: str) -> None:
    def told(scope: str) -> bool:
        return any(
            label.proto.label == "Choose another" for label in opened(page, scope=scope).get("page_link")
        )

    assert told("question")
    assert not told("bank")


def test_attention_over_a_bank_offers_its_measures() -> None:
    at = opened("attention", scope="bank", role="right_top")
    assert "most attended token is the right label, 5 questions" in " ".join(titles(at))


def test_the_model_page_judges_in_words() -> None:
    at = opened("model")
    # In cells that wrap, so that value and limit are in view on a narrow screen.
    assert list(at.table[0].value.iloc[:, 0]) == ["✓\u00a0passed"]
    assert notices(at, "lead") == ["✓ Go: it answers 90% by letter."]
    assert "no interval: too few questions" in notices(at, "quiet")


def test_a_choice_of_model_fits_a_narrow_screen() -> None:
    at = opened("model")
    assert max(map(len, at.selectbox(key="model").options)) < 50
    (card, *_) = FakeClient().models()
    assert f"{card.license} · {card.role}" in notices(at, "quiet")
    assert not any(card.license in text for text in notices(opened("model", model="some/other"), "quiet"))


def test_how_the_model_is_held_is_said_once() -> None:
    class AsAsked(FakeClient):
        def resolve(self, spec: ModelSpec) -> ResolvedModel:
            return replace(super().resolve(spec), reason="float32: as asked")

    told = notices(opened("model", AsAsked()), "plain")
    assert [text for text in told if "It runs" in text] == ["It runs in float32 on cpu (as asked)."]


def test_a_model_that_cannot_be_loaded_is_told_once() -> None:
    at = opened("model", FakeClient(error=ModelError("There is no such model.")))
    assert len(notices(at, "error")) == 1
    assert [header.value for header in at.subheader if "letter" in header.value] == []


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, r"Most for A is written by head L3H2"),
        ({"letter": "C"}, r"Most for C is written by head L\d+H\d+"),
        ({"scope": "bank"}, r"Most for the right letter is written by head L3H2"),
    ],
)
def test_the_attribution_page_names_its_strongest_heads(params: dict[str, str], said: str) -> None:
    (lead,) = notices(opened("attribution", **params), "lead")
    assert re.match(said, lead)
    assert ". Most against it by head " in lead


def test_the_default_model_is_the_one_the_app_was_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETTERHEADS_MODEL", "qwen2.5-coder-0.5b")
    client = FakeClient(slow=True)
    opened("question", client)
    opened("question", client, model="some/other")
    assert [request.model.name for request in client.submitted] == ["qwen2.5-coder-0.5b", "some/other"]


def test_the_usual_default_can_be_chosen_where_another_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETTERHEADS_MODEL", "qwen2.5-coder-0.5b")
    client = FakeClient(slow=True)
    at = opened("question", client, model=DEFAULT_MODEL)
    at.selectbox(key="template").select("plain").run()
    assert {request.model.name for request in client.submitted} == {DEFAULT_MODEL}


def test_the_model_page_offers_the_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened("model").selectbox(key="device").options == ["auto", "cpu"]
    assert opened("model", device="cuda").selectbox(key="device").options == ["auto", "cpu", "cuda"]
    monkeypatch.setattr(FakeClient, "devices", lambda self: ("auto", "cpu", "cuda", "offload"))
    device = opened("model").selectbox(key="device")
    assert "offload" in device.options
    assert "processor's memory" in device.help


def test_the_model_page_says_what_memory_it_needs_and_what_would_fit() -> None:
    assert any(
        "need about 7.7 GB of memory; 20.0 GB are free" in text for text in notices(opened("model"), "quiet")
    )
    client = FakeClient()
    client.resolved = replace(
        client.resolved, free_bytes=4 * 10**9, fits=False, others=("bfloat16 (4.2 GB)",)
    )
    (told,) = (text for text in notices(opened("model", client), "quiet") if "GB are free" in text)
    assert told.startswith("✗")
    assert told.endswith("This would fit: bfloat16 (4.2 GB).")
    client.resolved = replace(client.resolved, resident=True)
    assert "It is in memory." in notices(opened("model", client), "quiet")


@pytest.mark.parametrize("page", PAGES)
def test_each_page_ends_with_the_next(page: str) -> None:
    at = opened(page, item="2")
    last = at.main.get("page_link")[-1].proto
    then, question = NEXT[page.replace("_", " ").title()]
    assert last.label == f"Next, {then}: {question}"
    assert "item=2" in last.query_string


@pytest.mark.parametrize("page", ["patching", "effects", "paths"])
def test_a_page_that_waits_for_a_choice_leads_on_too(page: str) -> None:
    at = opened(page, corruption="text")
    assert at.main.get("page_link")[-1].proto.label.startswith("Next, ")


def test_the_next_pages_lead_through_all() -> None:
    seen, title = [], "Story"
    while title not in seen:
        seen.append(title)
        title, _ = NEXT[title]
    assert {*seen, *NEXT} == {*NEXT} == {page["title"] for page in navigation.PAGES}
    assert {*seen} == {*NEXT}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, r"Of all heads L\dH\d attends most to right label tokens: \d+%\."),
        ({"question": OWN}, r"Of all heads L\dH\d attends most to said label tokens: \d+%\."),
        ({"reading": "value-weighted"}, r"tokens: [\d.]+, attention times length\."),
        (
            {"scope": "bank", "role": "right_share"},
            r"Of all heads L\dH\d has the largest of these shares: \d+%\.",
        ),
    ],
)
def test_attention_names_the_head_that_looks_there_most(params: dict[str, str], said: str) -> None:
    at = opened("attention", **params)
    (lead,) = notices(at, "lead")
    assert re.search(said, lead), lead
    told = "No option is marked as right: said is B, the letter that the model says."
    assert (told in notices(at, "quiet")) == ("question" in params)
