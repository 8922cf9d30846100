"""The layouts of public evaluations, byte for byte, and the user's own text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from backend.contract.custom_template import EXAMPLE, split_template
from backend.contract.errors import QuestionError, RequestError
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.render import render
from backend.questions.segments import text_of
from backend.questions.templates import template_of

RAVEN = Question("What color is a raven?", ("red", "black"), 1, "colors")
SNOW = Question("What color is snow?", ("white", "blue", "gray"), 0, "colors")

MMLU = """\
The following are multiple choice questions (with answers) about colors.

What color is snow?
A. white
B. blue
C. gray
Answer: A

What color is a raven?
A. red
B. black
Answer:"""
COLON = """\
For each of the following phrases, select the best completion (A or B).

Phrase: What color is snow?
Choices:
A: white
B: blue
C: gray
The correct answer is: A

Phrase: What color is a raven?
Choices:
A: red
B: black
The correct answer is:"""
ARC = """\
Question: What color is snow?
A. white
B. blue
C. gray
Answer: A

Question: What color is a raven?
A. red
B. black
Answer:"""
OWN = """\
Questions about colors.

What color is snow?
A) white
B) blue
C) gray
Answer: A

What color is a raven?
A) red
B) black
Answer:"""
SPECS = {
    "mmlu": (PromptSpec("mmlu", shots=1), MMLU),
    "colon": (PromptSpec("colon", shots=1), COLON),
    "arc": (PromptSpec("arc", shots=1), ARC),
    "custom": (PromptSpec("custom", shots=1, custom=EXAMPLE), OWN),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_text_byte_for_byte_with_a_shot(name: str) -> None:
    spec, expected = SPECS[name]
    assert text_of(template_of(spec).segments(RAVEN, spec.labels, (SNOW,))) == expected


@pytest.mark.parametrize("name", SPECS)
def test_the_answer_is_the_label_with_its_blank_as_one_token(
    name: str, spaced: PreTrainedTokenizerFast
) -> None:
    spec, expected = SPECS[name]
    prompt = render(RAVEN, spec, spaced, (SNOW,))
    assert prompt.text == expected
    for label, answer in zip(prompt.labels, prompt.answer_ids, strict=True):
        assert spaced(f"{expected} {label}")["input_ids"] == [*prompt.token_ids, answer]
        assert spaced.decode([answer]) == f" {label}"
    assert prompt.roles[-1] == "final"
    for kind in ("stem", "label 0", "option 0", "label 1", "option 1", "shot"):
        assert prompt.positions(kind)


def test_a_label_of_two_tokens_is_refused(spaced: PreTrainedTokenizerFast) -> None:
    with pytest.raises(QuestionError, match=r"The label ' xviii' is not one token"):
        render(RAVEN, PromptSpec("mmlu", labels=("A", "xviii")), spaced)


def test_an_own_text_that_ends_in_a_bracket_takes_labels_without_a_blank(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    spec = PromptSpec("custom", custom="{stem}\n({label}) {option}\nAnswer: ({answer}")
    prompt = render(RAVEN, spec, tokenizer)
    assert prompt == render(RAVEN, PromptSpec("plain"), tokenizer)


def test_places_in_a_question_are_text() -> None:
    odd = Question("What is {answer}?", ("{stem}", "{option}"), 0, "{label}")
    spec = PromptSpec("custom", custom=EXAMPLE)
    assert text_of(template_of(spec).segments(odd, spec.labels, ())) == (
        "Questions about {label}.\n\nWhat is {answer}?\nA) {stem}\nB) {option}\nAnswer:"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no {stem}"),
        ("{stem} {answer}", "has no {label}"),
        ("{stem}\n{label}\nAnswer: {answer}", "has no {option}"),
        ("{stem}\n{label} {option}\nAnswer:", "has no {answer}"),
        ("{stem}\n{label} {option}\nAnswer: {answer}.", "stands after {answer}"),
        ("{stem}\n{label} {option}\n{answer}", "words, such as Answer"),
        ("{stem}\n{label} {option} {answer}", "words, such as Answer"),
        ("{stem} {label} {option}\nAnswer: {answer}", "{stem} must stand on a line before"),
        ("{label} {option}\n{stem}\nAnswer: {answer}", "in the order"),
        ("{stem}\n{label}\n{option}\nAnswer: {answer}", "no {label}. Put both on one line"),
        ("{stem}{stem}\n{label} {option}\nAnswer: {answer}", "has 2 times {stem}"),
        ("{stem}\n{label} {option}\n{letter} Answer: {answer}", "no place {letter}"),
        ("{stem}\x00\n{label} {option}\nAnswer: {answer}", r"control character U\+0000"),
        ("x" * 5_000, "5,000 characters"),
    ],
)
def test_an_own_text_that_cannot_be_a_prompt_is_refused(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message.replace("{", r"\{").replace("}", r"\}")):
        PromptSpec("custom", custom=text)


def test_other_templates_take_no_text() -> None:
    with pytest.raises(RequestError, match="takes no text of its own"):
        PromptSpec("paper", custom=EXAMPLE)


def test_a_prompt_with_an_own_text_is_read_back() -> None:
    spec = PromptSpec("custom", custom=EXAMPLE)
    assert PromptSpec.from_json(spec.to_json()) == spec
    assert "custom" not in PromptSpec().to_json()


words = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{}"), max_size=10)


@given(words, words, words)
def test_whatever_stands_around_the_places_is_in_the_prompt_once(
    before: str, between: str, after: str
) -> None:
    text = f"{before}\n{{stem}}\n{{label}}{between}{{option}}\n{after}: {{answer}}"
    parts = split_template(text)
    spec = PromptSpec("custom", custom=text)
    written = text_of(template_of(spec).segments(RAVEN, spec.labels, ())) + parts.blank
    assert written == (f"{before}\nWhat color is a raven?\nA{between}red\nB{between}black\n{after}: ")
