"""What `corruption` takes: how the corrupted prompt is made from the clean one. No torch."""

from typing import Any

from backend.contract.asked import Asked
from backend.contract.errors import RequestError
from backend.contract.kinds import BankName, OneQuestion, Text, Whole
from backend.contract.param import NEEDED, Param, Variant, Variants

MAX_DRAWS = 20

SEED = Param("seed", Whole(), "which one is drawn", default=0)
DRAWS = Param(
    "draws", Whole(1, MAX_DRAWS), "how many are drawn, each with the next seed; results are means", default=1
)


def _question(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """A question that is given needs no drawing."""
    return {"question": values["question"]} if values["question"] is not None else values


def _text(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Raises RequestError where the one text is to be drawn several times."""
    if values.pop("draws") > 1:
        count = asked.request.params["corruption"]["draws"]
        raise RequestError(
            f"The corruption text is one prompt: there is nothing to draw {count} times. Leave draws out."
        )
    return values


CORRUPTION = Param(
    "corruption",
    Variants(
        "corruption",
        (
            Variant(
                "question",
                "another question, drawn from a bank with another right letter, or given",
                (
                    Param("question", OneQuestion(), "the other question"),
                    Param("bank", BankName(), "where it is drawn from", default="knowledge"),
                    SEED,
                    DRAWS,
                ),
                _question,
            ),
            Variant(
                "swap_options",
                "the right option changes places with another of as many tokens",
                (SEED, DRAWS),
            ),
            Variant("shuffle_labels", "the labels in another order, none at its own place", (SEED, DRAWS)),
            Variant("random_letters", "labels that are none of the clean prompt's", (SEED, DRAWS)),
            Variant(
                "text",
                "a text of as many tokens",
                (Param("prompt", Text("the whole corrupted prompt"), "the text", default=NEEDED), DRAWS),
                _text,
            ),
        ),
    ),
    "how the corrupted prompt is made",
    default={"kind": "swap_options"},
)
