"""The question, labels, model and prompt that the choices name, and requests about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.state import Chosen
from backend.contract.cards import BankCard
from backend.contract.client import Client
from backend.contract.custom_template import EXAMPLE
from backend.contract.errors import LetterheadsError, QuestionError, RequestError, shown
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from backend.contract.prompt import DEFAULT_LABELS, PromptSpec
from backend.contract.question import MAX_OPTIONS, Question
from backend.contract.request import QuestionSet, Request

SERIES = {
    "A": DEFAULT_LABELS,
    "a": tuple(label.lower() for label in DEFAULT_LABELS),
    "1": tuple(str(number) for number in range(1, MAX_OPTIONS + 1)),
}

EXAMPLES = {DEFAULT_MODEL: ("knowledge", 10), "qwen2.5-coder-0.5b": ("copy-colors", 11)}
"""By model the bank and the number of a question that it answers right with a clear margin."""


@dataclass(frozen=True)
class Selection:
    """One question for one model. `labels` has one label for each option. All choices in `chosen` are valid."""

    chosen: Chosen
    bank: BankCard
    question: Question
    labels: tuple[str, ...]
    model: ModelSpec
    prompt: PromptSpec

    @property
    def right(self) -> str | None:
        """The right option's label; None if it is not known."""
        return None if self.question.answer is None else self.labels[self.question.answer]

    def ask(self, analysis: str, **params: Any) -> Request:
        """A request for the analysis of this one question."""
        return Request.build(
            analysis, model=self.model, prompt=self.prompt, question=self.question, params=params
        )

    def ask_bank(self, analysis: str, **params: Any) -> Request:
        """A request for the analysis of the first `limit` questions of the bank, in a drawn order."""
        questions = QuestionSet(self.bank.name, min(self.chosen.limit, self.bank.questions))
        return Request.build(
            analysis, model=self.model, prompt=self.prompt, questions=questions, params=params
        )


def select(chosen: Chosen, client: Client) -> tuple[Selection, list[str]]:
    """The selection, and one sentence for each choice that does not exist. The default is used instead of it."""
    problems: list[str] = []
    example = _example(chosen, client)
    bank, questions = _bank(chosen.bank or example[0], client, problems)
    item = _item(chosen.item or example[1], bank, questions, problems)
    question = chosen.question or questions[item - 1]
    labels = _labels(chosen.labels, question, problems)
    letter = _letter(chosen.letter, labels[: len(question.options)], problems)
    chosen = replace(
        chosen,
        bank=bank.name,
        item=item,
        letter=letter,
        labels=chosen.labels if labels == series(chosen.labels) else "A",
    )
    selection = Selection(
        chosen=chosen,
        bank=bank,
        question=question,
        labels=labels[: len(question.options)],
        model=ModelSpec(chosen.model, chosen.dtype, chosen.quantization, chosen.device),
        prompt=_prompt(chosen, labels, bank, problems),
    )
    return selection, problems


def _prompt(chosen: Chosen, labels: tuple[str, ...], bank: BankCard, problems: list[str]) -> PromptSpec:
    """The prompt; with the template `paper` where the user's own text cannot be one."""
    usual = PromptSpec(
        labels=labels,
        shots=chosen.shots,
        shots_from=bank.name if chosen.shots else "",
        controls_as_text=chosen.controls_as_text,
    )
    own = (chosen.custom or EXAMPLE) if chosen.template == "custom" else ""
    try:
        return replace(usual, template=chosen.template, custom=own)
    except RequestError as error:
        problems.append(f"{error} The template paper is used instead.")
        return usual


def series(text: str) -> tuple[str, ...]:
    """The labels that a text names: a series by its first label, or labels separated by blanks."""
    return SERIES.get(text, tuple(text.split()))


def _example(chosen: Chosen, client: Client) -> tuple[str, int]:
    """The bank and the number of the question that a page shows before one is chosen."""
    bank, item = EXAMPLES.get(chosen.model, ("", 1))
    if bank not in [card.name for card in client.banks()]:
        return "", 1
    return (bank, item) if chosen.bank in ("", bank) else ("", 1)


def _bank(name: str, client: Client, problems: list[str]) -> tuple[BankCard, Sequence[Question]]:
    cards = client.banks()
    if not cards:
        raise QuestionError("There are no question banks.")
    listed = {card.name: card for card in cards}
    card = listed.get(name, cards[0])
    if name and name not in listed:
        try:
            # The client does not list data sets of the hub; it finds them by name.
            questions = client.questions(name)
        except LetterheadsError as error:
            problems.append(f"{error} {card.title} is shown instead.")
        else:
            subjects = tuple(dict.fromkeys(question.subject for question in questions))
            return BankCard(name, name, len(questions), subjects), questions
    return card, client.questions(card.name)


def _item(item: int, bank: BankCard, questions: Sequence[Question], problems: list[str]) -> int:
    if not questions:
        raise QuestionError(f"The bank {shown(bank.title)} holds no questions. Choose another.")
    if item <= len(questions):
        return item
    problems.append(f"{bank.title} has {len(questions)} questions, none numbered {item}; the first is shown.")
    return 1


def _labels(text: str, question: Question, problems: list[str]) -> tuple[str, ...]:
    try:
        labels = PromptSpec(labels=series(text)).labels
        if len(labels) < len(question.options):
            raise RequestError(f"{len(question.options)} options need as many labels, not {shown(text)}.")
    except LetterheadsError as error:
        problems.append(f"{error} The labels A, B, C, … are used instead.")
        return SERIES["A"]
    return labels


def _letter(letter: str, labels: Sequence[str], problems: list[str]) -> str:
    if not letter or letter in labels:
        return letter
    problems.append(f"No option is labelled {shown(letter)}; the net effect is shown instead.")
    return ""
