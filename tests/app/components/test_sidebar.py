"""The sidebar: the model in use, and all pages in groups."""

from dataclasses import replace
from typing import Any

import pytest

from app.components.sidebar import GROUPS
from app.navigation import GUIDE, PAGES
from backend.contract.cards import LoadedModel
from backend.contract.errors import ModelError
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened

LOADED = LoadedModel(
    name="qwen2.5-coder-1.5b",
    dtype="float32",
    quantization="none",
    device="cpu",
    fingerprint="0" * 16,
    family="qwen2",
    layers=6,
    heads=4,
    kv_heads=2,
    checks={},
    notes=(),
)


class Holding(FakeClient):
    def __init__(self, loaded: LoadedModel | None) -> None:
        super().__init__()
        self.held = loaded

    def loaded(self) -> LoadedModel | None:
        return self.held


@pytest.mark.parametrize(
    ("loaded", "told"),
    [
        (None, "Not in memory yet"),
        (LOADED, "In memory, float32"),
        (replace(LOADED, quantization="8bit"), "In memory, float32, 8bit"),
        (replace(LOADED, name="qwen2.5-coder-0.5b"), "Not in memory; Qwen2.5-Coder 0.5B is"),
    ],
)
def test_it_says_which_model_is_chosen_and_whether_it_is_in_memory(loaded: Any, told: str) -> None:
    at = opened("question", Holding(loaded), model="qwen2.5-coder-1.5b")
    first = at.sidebar.get("page_link")[0].proto
    assert first.label == "Qwen2\\.5\\-Coder 1\\.5B"
    assert first.page == "model"
    assert told in notices(at, "quiet")


def test_every_page_is_in_one_of_four_groups_and_keeps_its_address() -> None:
    at = opened("question", item="2")
    links = [one.proto for one in at.sidebar.get("page_link")][1:]
    assert [link.label for link in links][: len(PAGES) + 1] == [page["title"] for page in (*PAGES, GUIDE)]
    assert all("item=2" in link.query_string for link in links)
    assert list(GROUPS.values()) == ["Answer", "Cause", "One head", "Trust"]
    assert set(GROUPS) < {page["title"] for page in PAGES}
    assert [text for text in notices(at, "quiet") if text in GROUPS.values()] == list(GROUPS.values())


def test_a_model_of_a_strange_name_is_shown_as_it_is() -> None:
    at = opened("question", model="a_b/**c**")
    assert at.sidebar.get("page_link")[0].proto.label == r"a\_b/\*\*c\*\*"


def test_a_backend_that_fails_leaves_the_pages() -> None:
    class Failing(FakeClient):
        def loaded(self) -> LoadedModel | None:
            raise ModelError("Gone.")

    at = opened("question", Failing())
    assert not at.exception
    assert len(at.sidebar.get("page_link")) >= len(PAGES) + 1
