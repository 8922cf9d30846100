"""Banks by name: ours are in the registry; uploads and hub data sets join them. And drawing from a bank."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

from backend.contract.errors import QuestionError, shown
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import QuestionSet
from backend.questions import copying, hub_sets, traps, uploads
from backend.questions.bank import Bank as Bank
from backend.questions.files import read_file

KNOWLEDGE_FILE = Path(__file__).parent / "data" / "knowledge.jsonl"
DEFAULT_BANK = "knowledge"

Questions = tuple[Question, ...]


def _knowledge() -> Questions:
    return read_file(KNOWLEDGE_FILE.name, KNOWLEDGE_FILE.read_bytes()).questions


# name -> title and what makes the questions
REGISTRY: dict[str, tuple[str, Callable[[], Questions]]] = {
    "knowledge": ("General knowledge", _knowledge),
    "copy-colors": ("Copying: colors", copying.colors),
    "copy-facts": ("Copying: facts", copying.facts),
    "trap-both": ("Trap: one, both or none of them", traps.both),
    "trap-negation": ("Trap: which is NOT", traps.negation),
    "trap-statements": ("Trap: two statements, true or false", traps.statements),
    "trap-one-word": ("Trap: options differ in one word", traps.one_word),
    "trap-arithmetic": ("Trap: arithmetic with near numbers", traps.arithmetic),
    "trap-order": ("Trap: a list that begins elsewhere", traps.order),
}


def bank_names() -> tuple[str, ...]:
    """Our banks, then those uploaded. Hub data sets are not listed; see hub_sets.py for their names."""
    return (*REGISTRY, *uploads.names())


def load_bank(name: str) -> Bank:
    """The bank `name`: one of `bank_names()` or a hub data set. Raises QuestionError for an unknown one."""
    if name in REGISTRY:
        return _ours(name)
    if name.startswith(hub_sets.PREFIX):
        return hub_sets.load(name)
    check_bank(name)
    return uploads.load(name)


def check_bank(name: str) -> None:
    """Raise QuestionError where there is no such bank; those of the hub are only known once they are loaded."""
    uploaded = uploads.NAME.fullmatch(name) and os.path.isfile(uploads.path(name))
    if name not in REGISTRY and not uploaded and not name.startswith(hub_sets.PREFIX):
        deleted = " It may have been deleted." if name.startswith(uploads.PREFIX) else ""
        raise QuestionError(
            f"There is no bank {shown(name)}.{deleted} Choose one of {', '.join(bank_names())}."
        )


@cache
def _ours(name: str) -> Bank:
    title, make = REGISTRY[name]
    return Bank(name, title, make())


def draw(questions: QuestionSet) -> Questions:
    """The bank's questions in an order that `seed` alone decides, the first `limit` of them; all in their own
    order where `limit` is None. The same on every machine. Raises QuestionError for an unknown bank.

    Right letters are as equal as the bank allows, unless the request asks for the first version of the drawing.
    """
    return drawn_from(load_bank(questions.bank).questions, questions)


def drawn_from(everything: Questions, questions: QuestionSet) -> Questions:
    """As `draw`, from questions that need be in no bank."""
    if questions.limit is None:
        return everything
    order = sorted(range(len(everything)), key=lambda index: _digest(f"{questions.seed}:{index}"))
    drawn = [everything[index] for index in order]
    return tuple((drawn if questions.draw == 1 else _letters_in_turn(drawn))[: questions.limit])


def _letters_in_turn(drawn: list[Question]) -> list[Question]:
    """The first question of each right letter, then the second of each, and so on; else in the order drawn.

    Without a right answer a question is of no use here, and comes last.
    """
    seen: Counter[int | None] = Counter()
    rounds = []
    for question in drawn:
        rounds.append((question.answer is None, seen[question.answer]))
        seen[question.answer] += 1
    return [drawn[place] for place in sorted(range(len(drawn)), key=rounds.__getitem__)]


def draw_shots(question: Question, spec: PromptSpec, bank: str = "") -> Questions:
    """`spec.shots` solved questions to show before `question`, of `spec.shots_from`, else `bank`, else ours.

    Those of its subject come first. All questions of a subject get the same ones, save that none is shown
    before a question with its own stem. Raises QuestionError where the bank has too few.
    """
    if not spec.shots:
        return ()
    name = spec.shots_from or bank or DEFAULT_BANK
    check_bank(name)  # an upload may have been deleted since its order was made
    ordered = _in_order_of_shots(name)

    def usable(other: Question) -> bool:
        return other.stem.strip() != question.stem.strip() and len(other.options) <= len(spec.labels)

    same = (other for other in ordered if other.subject == question.subject and usable(other))
    others = (other for other in ordered if other.subject != question.subject and usable(other))
    shots = (*islice(same, spec.shots), *islice(others, spec.shots))[: spec.shots]
    if len(shots) < spec.shots:
        raise QuestionError(
            f"The bank {shown(name)} has {len(shots)} other solved questions, not {spec.shots}. "
            "Ask for fewer shots or choose another bank for them."
        )
    return shots


# A bank's name decides what it holds: ours do not change, uploads are named after their content.
@lru_cache(maxsize=8)
def _in_order_of_shots(bank: str) -> Questions:
    """The bank's solved questions, one of each stem, in an order that has nothing to do with their own."""
    solved = [question for question in load_bank(bank).questions if question.answer is not None]
    solved.sort(key=lambda question: _digest(repr(question.to_json())))
    return tuple({question.stem.strip(): question for question in solved}.values())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
