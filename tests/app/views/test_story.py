"""The page Story: every figure is that of the page it links to; its sentences tell what is known of a circuit."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.components.story_looks import looks_parts
from backend.contract.errors import ModelError
from backend.contract.head import HeadRef
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Array, Result
from backend.models import RunnableModel
from tests import hand_wired
from tests.app.fake_client import FakeClient
from tests.app.made_up.parts import MISREAD
from tests.app.opened import ENTRY, drawn, notices, opened, titles
from tests.backend.service.serving import Loader, serving

SECTIONS = [
    "1. What it says",
    "2. When it knows",
    "3. Who writes it",
    "4. Where they look",
    "5. Does it hold?",
    "6. Turn it",
    "To quote",
]
WRONG = json.dumps({"stem": f"{MISREAD}what?", "options": ["up", "down", "left"], "answer": 0})
NO_ANSWER = json.dumps({"stem": "What?", "options": ["up", "down", "left"]})


def chart(at: AppTest, title: str) -> dict[str, Any]:
    """The first trace of the chart whose title begins so."""
    for element in at.get("plotly_chart"):
        spec = json.loads(element.proto.spec)
        if spec["layout"]["title"]["text"].startswith(title):
            trace: dict[str, Any] = spec["data"][0]
            return trace
    raise AssertionError(f"There is no chart {title}.")


def numbers(values: Any) -> list[float]:
    """Plotly sends arrays as bytes."""
    if isinstance(values, dict):
        return list(np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"]))
    return list(values)


def texts(trace: dict[str, Any]) -> dict[str, str]:
    """Bar by bar what is written at it."""
    return dict(zip(trace["y"], trace["text"], strict=True))


def linked(at: AppTest, label: str, page: str, client: FakeClient | None = None) -> AppTest:
    """The page that a link of this page leads to, opened at the link's address."""
    links = [element.proto for element in at.get("page_link") if element.proto.label.startswith(label)]
    assert len(links) == 1
    assert links[0].page.endswith(page)
    return opened(page, client, **dict(parse_qsl(links[0].query_string)))


@pytest.mark.parametrize("params", [{}, {"question": WRONG}, {"question": NO_ANSWER}])
def test_all_sections_are_there(params: dict[str, str]) -> None:
    at = opened("story", **params)
    assert [
        head.value for head in at.subheader if head.value[0].isdigit() or head.value == "To quote"
    ] == SECTIONS
    assert not notices(at, "error")
    assert not notices(at, "warning")
    told = notices(at, "lead")
    # Only a head that looks at a label can be turned.
    assert len(told) - any(one.startswith("At strength ") for one in told) == 8
    assert len(drawn(at, "arcs")) == 1
    assert not at.main.markdown  # Streamlit draws any text that stands alone in a page's file


@pytest.mark.parametrize("params", [{}, {"question": WRONG}, {"question": NO_ANSWER}])
def test_every_figure_is_that_of_the_page_it_links_to(params: dict[str, str]) -> None:
    at = opened("story", **params)
    question = linked(at, "The prompt, token by token", "question")
    for title in ("Probability among the labels", "Logit lens"):
        assert chart(at, title)["x"] == chart(question, title)["x"]
        assert chart(at, title)["y"] == chart(question, title)["y"] or "✓" in str(chart(at, title)["y"])
    steps = texts(chart(at, "What adds up to the margin"))
    table = linked(at, "Every head and MLP", "attribution").dataframe[0].value
    values = dict(zip(table["node"], table["logits"], strict=True))
    named = {name: text for name, text in steps.items() if name in values and name[0] in "LM"}
    assert len(named) == 8
    assert named == {name: f"{values[name]:+.2f}" for name in named}
    (pictured,) = drawn(at, "arcs")
    strongest = pictured["arcs"][0]["head"]
    (tokens,) = drawn(linked(at, "Every head; ", "attention"), "tokens")
    assert strongest in tokens["title"]
    for arc in pictured["arcs"]:
        if arc["head"] == strongest:
            assert arc["share"] == pytest.approx(tokens["values"][arc["position"]], abs=1e-7)


def test_each_order_has_the_figures_of_its_own_question_page() -> None:
    at = opened("story")
    bars = [json.loads(one.proto.spec) for one in at.get("plotly_chart")]
    (orders,) = [spec["data"] for spec in bars if "other orders" in spec["layout"]["title"]["text"]]
    options = ["red", "up", "down", "left"]
    for by in range(4):
        turned = [options[(place - by) % 4] for place in range(4)]
        asked = {"stem": "Which is red?", "options": turned, "answer": by, "subject": "colors"}
        own = numbers(
            chart(opened("question", question=json.dumps(asked)), "Probability among the labels")["x"]
        )
        assert [orders[option]["x"][by] for option in range(4)] == [
            pytest.approx(own[(option + by) % 4], abs=1e-7) for option in range(4)
        ]


def test_the_made_up_model_keeps_to_the_content() -> None:
    assert (
        "In all 4 orders of the options it says red, whichever letter that has: it keeps to the content."
        in (notices(opened("story"), "lead"))
    )


def test_a_wrong_answer_is_told_and_the_story_is_of_the_letter_said() -> None:
    at = opened("story", question=WRONG)
    assert notices(at, "lead")[1].startswith("The model says C, left. That is wrong: the right letter is A.")
    assert "What adds up to the margin of C" in titles(at)


def test_without_a_right_letter_the_story_judges_nothing() -> None:
    told = " ".join(notices(opened("story", question=NO_ANSWER), "lead"))
    assert "The model says C, left. Among the letters" in told
    assert "right" not in told
    assert "wrong" not in told


def test_a_head_is_switched_off_and_stays_so_in_the_address() -> None:
    at = opened("story")
    (before,) = drawn(at, "arcs")
    heads = list(dict.fromkeys(arc["head"] for arc in before["arcs"]))
    switch = at.button_group(key="heads not hidden")
    assert switch.value == heads
    switch.set_value(heads[1:]).run()
    (after,) = drawn(at, "arcs")
    assert {arc["head"] for arc in after["arcs"]} == set(heads[1:])
    assert at.query_params["hidden"] == heads[0]
    (again,) = drawn(opened("story", hidden=heads[0]), "arcs")
    assert again["arcs"] == after["arcs"]


@pytest.mark.parametrize("failing", ["attribution", "attention"])
def test_one_section_that_fails_leaves_the_others(failing: str) -> None:
    class Failing(FakeClient):
        def find(self, request: Request) -> Result | None:
            return None if request.analysis == failing else super().find(request)

        def result(self, job: str) -> Result:
            raise ModelError("No memory.")

        def wait(self, job: str, seconds: float) -> Any:
            return replace(super().wait(job, seconds), state="failed")

    at = opened("story", Failing())
    assert not at.exception
    assert notices(at, "error") == ["No memory."]
    assert {"Probability among the labels", "The same question with its options in other orders"} < set(
        titles(at)
    )
    assert ("What adds up to the margin of A" in titles(at)) == (failing == "attention")


@pytest.mark.parametrize("failing", ["prediction", "attribution", "attention"])
def test_a_figure_whose_check_failed_is_not_told(failing: str) -> None:
    class Unsure(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is None or request.analysis != failing:
                return found
            return replace(found, checks={"identity_error": (0.5, 1e-3)})

    at = opened("story", Unsure())
    assert not at.exception
    assert f"The numbers of {failing} failed their check" in notices(at, "error")[0]
    gone = {"prediction": "Probability among the labels", "attribution": "What adds up to the margin of A"}
    assert gone.get(failing) not in titles(at)
    assert not drawn(at, "arcs")


def test_parts_that_do_not_add_up_are_not_told() -> None:
    class Off(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.analysis == "attribution":
                found["embedding"][0] += 1
            return found

    at = opened("story", Off())
    assert any(
        text.startswith("Nothing is told here: the parts add up to") for text in notices(at, "warning")
    )
    assert "What adds up to the margin of A" not in titles(at)


def test_a_slow_model_is_asked_for_more_passes_by_a_click_only() -> None:
    class Slow(FakeClient):
        def find(self, request: Request) -> Result | None:
            if request.analysis == "prediction" and request.question == self.banked["copy-colors"][0]:
                found = super().find(request)
                return None if found is None else replace(found, seconds=20.0)
            return None

    client = Slow()
    at = opened("story", client)
    assert not client.submitted
    assert [button.label for button in at.button if "about" in button.label] == [
        "Ask the other 3 orders (about 60 s)",
        "Show who writes it (about 20 s)",
    ]


class Wired(Loader):
    """Gives a hand-wired model whose weights were changed."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        super().__init__()
        self._change = change

    def __call__(self, spec: ModelSpec, progress: Progress, returned: int) -> Callable[[], RunnableModel]:
        load = super().__call__(spec, progress, returned)

        def changed() -> RunnableModel:
            model = load()
            with torch.no_grad():
                self._change(model.model)
            return model

        return changed


def as_it_is(model: Any) -> None:
    pass


def shared_by_two(model: Any) -> None:
    """L1H3 becomes a copy of L1H2, and each writes half."""
    attention, size = model.model.layers[1].self_attn, hand_wired.D_HEAD
    two, three = (slice(head * size, (head + 1) * size) for head in (2, 3))
    attention.q_proj.weight[three] = attention.q_proj.weight[two]
    attention.o_proj.weight[:, two] /= 2
    attention.o_proj.weight[:, three] = attention.o_proj.weight[:, two]


def wired(tmp_path: Path, change: Callable[[Any], None], question: Question) -> AppTest:
    """The page Story on a hand-wired model, complete."""
    at = AppTest.from_file(str(ENTRY), default_timeout=60)
    at.session_state["client"] = serving(tmp_path / "results", Wired(change))
    at.query_params = {
        "model": "qwen2.5-coder-0.5b",
        "template": "plain",
        "corruption": "text",
        "corrupted": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: (",
        "question": json.dumps(question.to_json()),
    }
    at.run()
    while any(button.label == "Cancel" for button in at.button):
        at.run()
    assert not at.exception
    return at


@pytest.mark.parametrize("right", [0, 2])
def test_the_sentences_tell_the_circuit_that_was_wired(tmp_path: Path, right: int) -> None:
    letter, option = "ABCD"[right], hand_wired.question(right).options[right]
    at = wired(tmp_path, as_it_is, hand_wired.question(right))
    told = notices(at, "lead")[1:]
    assert told[0].startswith(f"The model says {letter}, {option}, and that is right.")
    # The stem names a place in the list, which stays as it is when the options are turned.
    assert told[
        1
    ] == f"In all 4 orders of the options it says {letter}, whatever stands there: it keeps to the " + (
        "letter, not to the content."
    )
    assert told[2].startswith(f"{letter} leads only after the last layer, layer 1")
    assert told[3].startswith("One head does nearly all of it: L1H2 writes")
    assert told[4].startswith("Of all heads, L1H2 writes most, and gives ")
    assert f"of its attention to the label {letter}." in told[4]
    assert told[5].startswith(
        "With L1H2 doing what it does in the other prompt, the model says D instead of "
    )
    assert told[6].startswith(
        "This head carries 100% of the change. 20 sets of random heads of the same layers carry "
    )
    assert told[6].endswith("this is more than any of them.")
    assert told[0] in at.code[0].value


def test_heads_are_replaced_one_by_one_and_the_address_holds_it() -> None:
    at = opened("story")
    switch = at.button_group(key="heads not kept")
    heads = list(switch.value or [])
    assert len(heads) > 1
    assert any(text.startswith("With ") for text in notices(at, "lead"))
    switch.set_value(heads[:1]).run()
    assert at.query_params["kept"] == ",".join(heads[1:])
    (told,) = [text for text in notices(at, "lead") if text.startswith("With ")]
    assert told.startswith(f"With {heads[0]} doing what it does in the other prompt, the model ")
    at.button(key="group None").click().run()
    assert "No head is replaced." in notices(at, "quiet")
    at.button(key="group All of them").click().run()
    assert "kept" not in at.query_params


def test_exact_patching_waits_for_a_click_where_it_takes_long() -> None:
    class Slow(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if request.analysis == "joint-patching":
                return None
            if found is not None and request.analysis == "cost":
                return replace(found, scalars={**found.scalars, "expected_seconds": 24.0})
            return found

    client, button = Slow(), "Patch these heads exactly (about 24 s)"
    at = opened("story", client)
    assert [request.params.get("random") for request in client.submitted] == [None]
    next(one for one in at.button if one.label == button).click().run()
    assert client.submitted[-1].params["random"] == 20
    assert button not in [one.label for one in at.button]


def test_where_the_letter_stays_there_is_no_change_to_share_out() -> None:
    class Same(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is None or request.analysis != "joint-patching":
                return found
            found["label_logits_corrupted"][:] = found["label_logits_clean"]
            return found

    at = opened("story", Same())
    assert (
        "The model says the same letter in the other prompt, so nothing can be told of the heads. "
        "Choose another prompt." in notices(at, "lead")
    )
    assert "What share of the change these heads carry" not in titles(at)


def test_where_the_margin_hardly_changes_there_is_none_either() -> None:
    class Near(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is None or request.analysis != "joint-patching":
                return found
            found["label_logits_corrupted"][:] = np.roll(found["label_logits_clean"], 1)
            return replace(found, scalars={**found.scalars, "corrupted": found.scalars["clean"] - 0.01})

    told = notices(opened("story", Near()), "lead")
    assert (
        "The margin of the letter is nearly the same in both prompts, so nothing can be told of the heads. "
        "Choose another prompt."
    ) in told


def test_where_two_heads_share_the_work_no_head_does_it_alone(tmp_path: Path) -> None:
    at = wired(tmp_path, shared_by_two, hand_wired.question(1))
    told = notices(at, "lead")[1:]
    assert told[0].startswith("The model says B, blue, and that is right.")
    assert told[3].startswith("No head does it alone: L1H")
    assert told[4].endswith("look at the label B too.") or told[4].endswith("looks at the label B too.")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (
            [0.7, 0.1, 0.1, 0.1, 0, 0],
            "looks at no label much. What it reads most is the prompt's first token, 70%",
        ),
        ([0.1, 0.1, 0.7, 0.1, 0, 0], "looks at no label much. What it reads most is 'blue', 70%"),
        ([0.1, 0.1, 0.1, 0.7, 0, 0], "gives 70% of its attention to the label B. No other head"),
        ([0.1, 0.7, 0.1, 0.1, 0, 0], "gives 70% of its attention to the label A, not to B."),
    ],
)
def test_what_the_strongest_head_reads_is_told_in_words(row: list[float], told: str) -> None:
    values = np.array([[row, [1, 0, 0, 0, 0, 0]]], np.float32)
    attention = Result(
        request={},
        arrays={"final": Array(values, ("layer", "head", "position"), "probability")},
        ticks={},
        scalars={
            "roles": ["stem", "label 0", "option 0", "label 1", "option 1", "final"],
            "tokens": ["Sky", "A", "blue", "B", "red", "("],
        },
    )
    heads = [HeadRef(0, 0), HeadRef(0, 1)]
    sentence = "".join(looks_parts(attention, heads, ("A", "B"), "B"))
    assert told in sentence
    assert sentence.startswith("Of all heads, L0H0 writes most")
