"""How the corrupted prompt is made from the clean one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.contract.asked import Asked
from backend.contract.errors import RequestError
from backend.contract.kinds import BankName, Label, OneQuestion, Text, Whole
from backend.contract.param import NEEDED, Param, Variant

MAX_DRAWS = 20
SEED = Param("seed", Whole(), "which one is drawn", default=0)
DRAWS = Param(
    "draws", Whole(1, MAX_DRAWS), "how many are drawn, each with the next seed; results are means", default=1
)
LABEL = Param(
    "label",
    Label(),
    "the label that the answer is taken away from",
    usual="the right one; where none is right, the likeliest",
)


PAIR_TITLES = {"position": "another place", "letter": "other letters", "both": "both"}
"""One for each of PAIRS of backend/contract/question.py."""


def _of_label(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Without the label where it is the right one, which holds anyway."""
    return {**values, "label": None if values["label"] == asked.right else values["label"]}


def _question(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """A question that is given needs no drawing."""
    if values["question"] is not None:
        return {"question": values["question"]}
    return _of_label(values, asked)


def _text(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Raises RequestError where the one text is to be drawn several times."""
    if values.pop("draws") > 1:
        count = asked.request.params["corruption"]["draws"]
        raise RequestError(
            f"The corruption text is one prompt: there is nothing to draw {count} times. Leave draws out."
        )
    return values


@dataclass(frozen=True, kw_only=True)
class Corruption(Variant):
    """One corruption: its name and fields in requests, and in addition:

    Attributes:
        title: for people.
        keeps_length: whether the corrupted prompt always has as many tokens as the clean one.
        one_question_only: whether it cannot serve several questions at once.
    """

    title: str
    keeps_length: bool = False
    one_question_only: bool = False

    @property
    def drawn(self) -> bool:
        """Whether it is drawn at random, so that it can be drawn several times.

        >>> CORRUPTIONS["swap_options"].drawn, CORRUPTIONS["text"].drawn
        (True, False)
        """
        return SEED in self.fields


CORRUPTIONS: dict[str, Corruption] = {
    corruption.name: corruption
    for corruption in (
        Corruption(
            name="swap_options",
            title="Right option swapped with another",
            help="the right option changes places with another of as many tokens",
            fields=(LABEL, SEED, DRAWS),
            rule=_of_label,
            keeps_length=True,
        ),
        Corruption(
            name="shuffle_labels",
            title="Labels shuffled",
            help="the labels in another order, none at its own place",
            fields=(SEED, DRAWS),
        ),
        Corruption(
            name="question",
            title="Another question",
            help="another question, drawn from a bank with another right letter, or given",
            fields=(
                Param("question", OneQuestion(), "the other question"),
                Param("bank", BankName(), "where it is drawn from", default="knowledge"),
                LABEL,
                SEED,
                DRAWS,
            ),
            rule=_question,
        ),
        Corruption(
            name="random_letters",
            title="Labels replaced by random letters",
            help="labels that are none of the clean prompt's",
            fields=(SEED, DRAWS),
        ),
        *(
            Corruption(
                name=f"pair_{kind}",
                title=f"The question's own pair: {title}",
                help=f"the corrupted prompt that the question brings with it: {title}",
                fields=(),
            )
            for kind, title in PAIR_TITLES.items()
        ),
        Corruption(
            name="text",
            title="A text of your own",
            help="a text of as many tokens",
            fields=(Param("prompt", Text("the whole corrupted prompt"), "the text", default=NEEDED), DRAWS),
            rule=_text,
            keeps_length=True,
            one_question_only=True,
        ),
    )
}


def of_equal_length() -> str:
    """The corruptions that keep the prompt's length, for messages.

    >>> of_equal_length()
    'swap_options or text'
    """
    return " or ".join(name for name, corruption in CORRUPTIONS.items() if corruption.keeps_length)


def one_draw(analysis: str) -> Callable[[Asked, dict[str, Any]], dict[str, Any]]:
    """The rule of an analysis that takes one corrupted prompt: it raises RequestError where several are asked for."""

    def rule(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
        draws = values["corruption"].get("draws", 1)
        if draws > 1:
            raise RequestError(f"{analysis} takes one corrupted prompt, not {draws}. Leave draws out.")
        return values

    return rule
