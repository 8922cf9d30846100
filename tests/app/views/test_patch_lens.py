"""The page Patch Lens without a browser: what it asks for, what it says, and what the address holds."""

from dataclasses import replace
from typing import Any

import pytest

from backend.contract.errors import ModelError
from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.fake_client import FakeClient
from tests.app.made_up import made_up
from tests.app.opened import drawn, header, notices, opened, titles

BLOCK = "clean:2..3:25..26"


class Asked(FakeClient):
    """Remembers what was asked for, and may change the results."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, Any]] = []

    def find(self, request: Request) -> Result | None:
        if request.analysis == "patched-lens":
            self.asked.append(request.params)
        return super().find(request)


def test_on_arrival_both_prompts_are_read_and_one_thing_to_try_is_offered() -> None:
    client = Asked()
    at = opened("patch_lens", client)
    assert not at.exception
    assert [params["patches"] for params in client.asked] == [[]]
    (data,) = drawn(at, "patch_grids")
    grids = header(data)["grids"]
    assert [grid["run"] for grid in grids] == ["clean", "corrupted"]
    assert [grid["says"] for grid in grids] == [
        [["says ", False], ["A (100%)", True]],
        [["says ", False], ["B (100%)", True]],
    ]
    assert "prelude" not in grids[0]["roles"]
    assert "Nothing is put in yet." in notices(at, "quiet")
    (button,) = (button for button in at.button if button.label.startswith("Try one"))
    button.click().run()
    assert len(client.asked[-1]["patches"]) == 1
    (lead,) = notices(at, "lead")
    assert lead.startswith(
        "With this block put in, the other prompt says A instead of B: B goes from 100% to 0%, "
    )


def test_blocks_of_the_address_are_asked_at_once_then_checked_and_listed() -> None:
    client = Asked()
    at = opened("patch_lens", client, patches=f"{BLOCK},corrupted:-1..0:8..8")
    assert [(len(params["patches"]), params["check"]) for params in client.asked] == [
        (0, False),
        (2, False),
        (2, True),
    ]
    assert len(notices(at, "lead")) == 2
    told = notices(at, "quiet")
    assert any(
        text.startswith("1. From your question: after layer 2 to after layer 3, tokens 25") for text in told
    )
    assert any(
        text.startswith("2. From the other prompt: from the embedding to after layer 0") for text in told
    )
    (data,) = drawn(at, "patch_grids")
    grids = header(data)["grids"]
    assert [len(grid["blocks"]) for grid in grids] == [1, 1]
    assert grids[1]["blocks"] == [[3, 4, 25 - grids[1]["positions"][0], 26 - grids[1]["positions"][0]]]
    assert "What each run says: the letters' probabilities" in titles(at)


def test_each_block_can_be_removed_and_the_last_one_undone() -> None:
    at = opened("patch_lens", patches=f"{BLOCK},clean:1..1:25..25,clean:0..0:24..24")
    at.button(key="remove 1").click().run()
    assert [text[:2] for text in notices(at, "quiet") if text[1:3] == ". "] == ["1.", "2."]
    at.button(key="undo").click().run()
    (told,) = (text for text in notices(at, "quiet") if text.startswith("1. "))
    assert "after layer 2 to after layer 3" in told
    at.button(key="clear").click().run()
    assert "Nothing is put in yet." in notices(at, "quiet")


def test_a_check_that_fails_takes_the_picture_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = super().find(request)
            if found is not None and request.params.get("check") and request.params.get("patches"):
                raise ModelError("The numbers failed their check.")
            return found

    at = opened("patch_lens", Failing(), patches=BLOCK)
    assert notices(at, "error") == ["The numbers failed their check."]
    assert not drawn(at, "patch_grids")
    assert not notices(at, "lead")
    assert at.button(key="remove 0")


def test_what_is_refused_is_told_and_can_be_removed() -> None:
    class Refusing(FakeClient):
        def find(self, request: Request) -> Result | None:
            if request.params.get("patches"):
                raise ModelError("The patch reaches position 99.")
            return super().find(request)

    at = opened("patch_lens", Refusing(), patches="clean:0..0:99..99")
    assert notices(at, "error") == ["The patch reaches position 99."]
    at.button(key="remove 0").click().run()
    assert not notices(at, "error")


def test_while_a_block_is_computed_the_grids_stay() -> None:
    class Slow(FakeClient):
        def find(self, request: Request) -> Result | None:
            return None if request.params.get("patches") else super().find(request)

    at = opened("patch_lens", Slow(), patches=BLOCK)
    assert len(drawn(at, "patch_grids")) == 1
    assert not notices(at, "lead")


@pytest.mark.parametrize("text", ["x", "clean:1..2", "left:1..2:3..4", f"{BLOCK},{BLOCK}"])
def test_a_bad_address_is_told(text: str) -> None:
    at = opened("patch_lens", patches=text)
    assert not at.exception
    assert "This value is in the address. The default is used instead." in notices(at, "warning")[0]


def test_prompts_that_meet_by_role_say_where_they_do_not() -> None:
    at = opened("patch_lens", corruption="question")
    (data,) = drawn(at, "patch_grids")
    grid = header(data)["grids"][0]
    lost = [role for role, other in zip(grid["roles"], grid["counterparts"], strict=True) if other is None]
    assert {*lost} == {"stem"}


def test_the_whole_prompt_can_be_shown() -> None:
    at = opened("patch_lens", span="all")
    (data,) = drawn(at, "patch_grids")
    assert header(data)["grids"][0]["positions"][0] == 0


def test_numbers_are_those_of_the_result() -> None:
    at = opened("patch_lens")
    (data,) = drawn(at, "patch_grids")
    told = header(data)
    bases: list[Request] = []

    class Keeping(FakeClient):
        def find(self, request: Request) -> Result | None:
            if request.analysis == "patched-lens":
                bases.append(request)
            return super().find(request)

    opened("patch_lens", Keeping())
    lens = made_up(bases[0])["lens_clean"]
    assert told["range"] == pytest.approx(abs(lens[:, -1, 0] - lens[:, -1, 1]).max())


def test_likeliest_tokens_of_both_prompts_are_named_on_demand() -> None:
    client = Asked()
    assert "texts" not in header(drawn(opened("patch_lens", client), "patch_grids")[0])["grids"][0]
    at = opened("patch_lens", client, words="True")
    (data,) = drawn(at, "patch_grids")
    told = header(data)
    assert told["arrays"][-2:] == ["word", "chance"]
    assert [grid["texts"] for grid in told["grids"]] == [["word0"], ["word0"]]
    assert len(data) % 4 == 0
    cells = sum(len(grid["tokens"]) for grid in told["grids"]) * len(told["rows"])
    assert len(data) == 4 + int.from_bytes(data[:4], "little") + 4 * 6 * cells
    assert any("stands the likeliest token" in text for text in notices(at, "quiet"))


def test_likeliest_tokens_wait_for_a_click_where_they_take_long() -> None:
    class Slow(FakeClient):
        def find(self, request: Request) -> Result | None:
            found = None if request.analysis == "lens" else super().find(request)
            if found is not None and request.analysis == "cost" and request.params["analysis"] == "lens":
                return replace(found, scalars={**found.scalars, "expected_seconds": 40.0})
            return found

    client = Slow()
    at = opened("patch_lens", client, words="True")
    assert [request.analysis for request in client.submitted] == []
    (button,) = (button for button in at.button if button.label.startswith("Name the likeliest"))
    assert button.label == "Name the likeliest tokens of your question (about 40 s)"
    assert "texts" not in header(drawn(at, "patch_grids")[0])["grids"][0]
