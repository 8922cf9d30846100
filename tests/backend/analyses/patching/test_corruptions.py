from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backend.analyses import Findings, Task, analysis_named
from backend.analyses.patching.corruptions import MAKERS, Clean, corrupted, matched
from backend.contract.errors import RequestError
from backend.contract.progress import silent
from backend.contract.question import Pair, Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.questions.banks import load_bank
from tests.backend.analyses.patching.test_patching import TEXT
from tests.hand_wired import SPEC, question

ASKED = question(1)
TURNED = replace(ASKED, options=(*ASKED.options[1:], ASKED.options[0]), answer=0)
QUESTION = replace(
    ASKED,
    pairs=(
        Pair("position", TURNED),
        Pair("letter", ASKED, ("B", "C", "D", "A")),
        Pair("both", TURNED, ("B", "C", "D", "A")),
    ),
)


# Random letters need a tokenizer that knows them; they have a test of their own.
@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"random_letters"}))
def test_every_corruption_changes_the_prompt_and_is_the_same_again(
    hand_wired_instrument: Instrument, kind: str
) -> None:
    prompt = hand_wired_instrument.prompt(QUESTION, SPEC)
    clean = Clean(QUESTION, SPEC, (), prompt, 1)
    data: Any = TEXT if kind == "text" else {"kind": kind, "seed": 0}
    if kind == "question":
        data = {"kind": kind, "question": question(3).to_json()}
    made = corrupted(hand_wired_instrument, clean, data)
    assert made == corrupted(hand_wired_instrument, clean, data)
    assert made.token_ids != prompt.token_ids
    assert made.aligned


def test_a_pair_is_the_prompt_that_the_question_brings_with_it(hand_wired_instrument: Instrument) -> None:
    clean = Clean(QUESTION, SPEC, (), hand_wired_instrument.prompt(QUESTION, SPEC), 1)
    for pair in QUESTION.pairs:
        made = corrupted(hand_wired_instrument, clean, {"kind": f"pair_{pair.kind}"})
        spec = replace(SPEC, labels=pair.labels or SPEC.labels)
        assert made.token_ids == hand_wired_instrument.prompt(pair.question, spec).token_ids


def test_random_letters_are_other_letters(plain_instrument: Instrument) -> None:
    prompt = plain_instrument.prompt(QUESTION, SPEC)
    made = corrupted(
        plain_instrument, Clean(QUESTION, SPEC, (), prompt, 1), {"kind": "random_letters", "seed": 3}
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


# One token a letter: only the first and the third option have as many.
UNEQUAL = replace(ASKED, options=("red", "blue", "tan", "yellow"), answer=None)


@pytest.mark.parametrize(
    ("data", "swapped"), [({}, 2), ({"label": "B"}, 2), ({"label": "D"}, 4), ({"label": "A"}, 1)]
)
def test_the_option_of_the_letter_asked_for_changes_places(
    hand_wired_instrument: Instrument, data: dict[str, str], swapped: int
) -> None:
    clean = Clean(QUESTION, SPEC, (), hand_wired_instrument.prompt(QUESTION, SPEC), 1)
    made = corrupted(hand_wired_instrument, clean, {"kind": "swap_options", "seed": 0, **data})
    assert made.note.startswith(f"options {swapped} and ")


def test_a_letter_that_the_question_does_not_show_is_refused(hand_wired_instrument: Instrument) -> None:
    clean = Clean(QUESTION, SPEC, (), hand_wired_instrument.prompt(QUESTION, SPEC), 1)
    with pytest.raises(RequestError, match="no option K"):
        corrupted(hand_wired_instrument, clean, {"kind": "swap_options", "seed": 0, "label": "K"})


@pytest.mark.parametrize("right", range(4))
def test_without_a_right_option_the_letter_said_is_in_question(
    hand_wired_instrument: Instrument, right: int
) -> None:
    """The hand-wired model says the right letter, so that the request without it is about the same option."""
    answered = question(right)
    values, notes = [], []
    for asked in (answered, replace(answered, answer=None)):
        found = run(hand_wired_instrument, "patching", asked, {"positions": "final"})
        values.append(found.arrays["values"].values)
        notes.append(found.scalars["corruption"])
    assert notes[0] == notes[1]
    assert notes[0].startswith(f"options {right + 1} and ")
    np.testing.assert_array_equal(values[0], values[1])


def test_another_question_takes_the_answer_away_from_the_letter(plain_instrument: Instrument) -> None:
    """Of the bank's questions only those are drawn whose right letter is another one."""
    by_stem = {one.stem: one.answer for one in load_bank("knowledge").questions}
    asked = Question("Which?", ("red", "blue", "green", "white"), 2, "colors")
    clean = Clean(asked, SPEC, (), plain_instrument.prompt(asked, SPEC), 2)
    drawn = {
        label: {
            by_stem[made.note.removeprefix("another question: ")]
            for seed in range(12)
            for made in [
                corrupted(
                    plain_instrument,
                    clean,
                    {"kind": "question", "bank": "knowledge", "seed": seed, "label": label},
                )
            ]
        }
        for label in "AC"
    }
    assert 0 not in drawn["A"]
    assert 2 in drawn["A"]
    assert 2 not in drawn["C"]


def test_each_corruption_that_a_question_can_have_is_told(plain_instrument: Instrument) -> None:
    told = {
        label: {
            one["kind"]: one
            for one in run(plain_instrument, "possible-corruptions", UNEQUAL, {"label": label}).scalars[
                "corruptions"
            ]
        }
        for label in "AB"
    }
    pairs = ["pair_position", "pair_letter", "pair_both"]
    assert list(told["A"]) == ["swap_options", "shuffle_labels", "question", "random_letters", *pairs]
    assert [kind for kind, one in told["A"].items() if not one["possible"]] == pairs
    assert "brings no pair both with it" in told["A"]["pair_both"]["says"]
    assert told["A"]["swap_options"]["says"].startswith("options 1 and ")
    assert not told["B"]["swap_options"]["possible"]
    assert "No other option has as many tokens as option B" in told["B"]["swap_options"]["says"]
    assert told["B"]["shuffle_labels"]["possible"]


def run(instrument: Instrument, name: str, asked: Question, params: dict[str, Any]) -> Findings:
    request = Request.build(name, question=asked, prompt=SPEC, params=params)
    found: Findings = analysis_named(name).run(instrument, Task(request, (asked,), ((),)), silent)
    return found
