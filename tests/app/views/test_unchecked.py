"""Pictures that are shown while their re-check still runs say so."""

from dataclasses import replace

import pytest

from app.components.provenance import UNCHECKED
from tests.app.fake_client import FakeClient
from tests.app.made_up import made_up
from tests.app.opened import notices, opened, titles


@pytest.mark.parametrize("page", ["effects", "paths"])
def test_the_whole_picture_is_shown_while_it_is_checked(page: str) -> None:
    client = FakeClient(slow=(page,))
    before = opened(page, client)
    assert UNCHECKED not in notices(before, "quiet")
    client.shown[page] = replace(made_up(client.submitted[-1]), checks={})
    at = opened(page, client)
    assert UNCHECKED in notices(at, "quiet")
    assert titles(at) == titles(opened(page))
    assert UNCHECKED not in notices(opened(page), "quiet")


def test_patched_heads_say_that_they_are_being_checked() -> None:
    client = FakeClient(slow=("patching",))
    opened("patching", client)
    client.shown["patching"] = made_up(client.submitted[-1])
    assert any(UNCHECKED in caption.value for caption in opened("patching", client).caption)
