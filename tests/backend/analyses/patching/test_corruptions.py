from dataclasses import replace
from typing import Any

import pytest

from backend.analyses.patching.corruptions import MAKERS, Clean, corrupted, matched
from backend.engine.instrument import Instrument
from tests.backend.analyses.patching.test_patching import TEXT
from tests.hand_wired import SPEC, question

QUESTION = question(1)


# Random letters need a tokenizer that knows them; they have a test of their own.
@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"random_letters"}))
def test_every_corruption_changes_the_prompt_and_is_the_same_again(
    hand_wired_instrument: Instrument, kind: str
) -> None:
    prompt = hand_wired_instrument.prompt(QUESTION, SPEC)
    clean = Clean(QUESTION, SPEC, (), prompt)
    data: Any = TEXT if kind == "text" else {"kind": kind, "seed": 0}
    if kind == "question":
        data = {"kind": kind, "question": question(3).to_json()}
    made = corrupted(hand_wired_instrument, clean, data)
    assert made == corrupted(hand_wired_instrument, clean, data)
    assert made.token_ids != prompt.token_ids
    assert made.aligned


def test_random_letters_are_other_letters(plain_instrument: Instrument) -> None:
    prompt = plain_instrument.prompt(QUESTION, SPEC)
    made = corrupted(
        plain_instrument, Clean(QUESTION, SPEC, (), prompt), {"kind": "random_letters", "seed": 3}
    )
    assert made.aligned
    assert not set(made.note.split()[1:]) & set("ABCD")


def test_roles_match_where_they_have_as_many_tokens(plain_instrument: Instrument) -> None:
    here = plain_instrument.prompt(QUESTION, SPEC)
    longer = replace(QUESTION, stem="pick gamma", options=("red", "yellow", "green", "white"))
    there = plain_instrument.prompt(longer, SPEC)
    match = matched(here, there)
    assert {"stem", "option 1"} < {*here.roles}
    for position, role in enumerate(here.roles):
        if role in ("stem", "option 1"):
            assert match[position] is None
        else:
            counterpart = match[position]
            assert counterpart is not None
            assert there.roles[counterpart] == role
            assert there.tokens[counterpart] == here.tokens[position]
