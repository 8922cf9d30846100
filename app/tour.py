"""Start here: five addresses that a newcomer opens one after the other, each with two sentences on what it shows."""

import json
from dataclasses import dataclass

from app.navigation import HEAD_PAGE, MODEL_PAGE, MUTATIONS_PAGE, STORY_PAGE, SUBSPACE_PAGE
from backend.contract.model import DEFAULT_MODEL
from backend.contract.question import Question

STRONGEST = {DEFAULT_MODEL: "L22H7", "qwen2.5-coder-0.5b": "L16H7"}
"""The head with the largest net effect over 60 questions of `copy-colors`, by model (docs/results.md)."""
OWN = Question(
    "Which of these animals has feathers?", ("whale", "bat", "horse", "parrot"), 3, Question.subject
)


@dataclass(frozen=True)
class Step:
    """One address: a page, its parameters, and two sentences."""

    title: str
    page: str
    params: dict[str, str]
    says: tuple[str, str]


def tour(model: str) -> tuple[Step, ...]:
    """The steps, on this model; on the default model if no head of it is known."""
    model = model if model in STRONGEST else DEFAULT_MODEL
    head = STRONGEST[model]
    bank = {"model": model, "bank": "copy-colors"}
    return (
        Step(
            "One question, the whole story",
            STORY_PAGE,
            {"model": model, "question": json.dumps(OWN.to_json(), separators=(",", ":"))},
            (
                "Somebody typed this question, and the page tells how the model comes to its letter.",
                "Read it from top to bottom, then paste a question of your own into the box.",
            ),
        ),
        Step(
            "One head, close up",
            HEAD_PAGE,
            {**bank, "head": head},
            (
                f"Of all heads of this model {head} has the largest net effect, over 60 questions of the bank "
                "copy-colors.",
                "Here is what it writes for each letter on one of them, and from which tokens it takes that.",
            ),
        ),
        *_over_bank(bank, head),
        Step(
            "Can the numbers be trusted?",
            MODEL_PAGE,
            bank,
            (
                "What this program records is compared with what the unmodified model computes.",
                "A check over a bank says whether the model answers by letter at all.",
            ),
        ),
    )


def _over_bank(bank: dict[str, str], head: str) -> tuple[Step, ...]:
    """The steps about one head over some questions of a bank."""
    params = {**bank, "limit": "12", "labels": "A B C D", "head": head}
    return (
        Step(
            "What it compares, in three dimensions",
            SUBSPACE_PAGE,
            params,
            (
                f"Each point is a query or a key of {head}, over 12 questions; turn the picture with the pointer.",
                "See whether the keys of one letter lie together, and to which of them each query points.",
            ),
        ),
        Step(
            "A place in the list, or a letter?",
            MUTATIONS_PAGE,
            params,
            (
                f"The same 12 questions with other letters: does {head} still find the right option?",
                "The table has a row for each kind of letters; where it takes long, a button says how long.",
            ),
        ),
    )
