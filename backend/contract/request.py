"""A request: all that decides a result, a frozen value with a form in JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.contract.errors import RequestError, shown
from backend.contract.fields import canonical_json, fields_of
from backend.contract.model import ModelSpec
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question

DRAWS = (1, 2)
"""Versions of the drawing of questions. The last one balances the right letters. What was drawn with the first before
that can be asked for again."""


@dataclass(frozen=True)
class QuestionSet:
    """Some questions of a bank: `limit` of them, in an order drawn with `seed` (all, in order, when None).

    `draw` is one of DRAWS. A result whose request does not name it was drawn with the first.
    """

    bank: str
    limit: int | None = None
    seed: int = 0
    draw: int = DRAWS[-1]

    def __post_init__(self) -> None:
        if self.draw not in DRAWS:
            raise RequestError(
                f"questions.draw must be {' or '.join(map(str, DRAWS))}, not {shown(self.draw)}. "
                f"{DRAWS[-1]} balances the right letters; {DRAWS[0]} is how questions were drawn before."
            )
        if self.limit is not None and self.limit < 1:
            raise RequestError(f"questions.limit must be at least 1, not {self.limit}.")

    @classmethod
    def from_json(cls, data: object) -> "QuestionSet":
        """Build from `{"bank", "limit"?, "seed"?, "draw"?}`. Raises RequestError naming the field."""
        fields = fields_of("questions", data, tuple(cls.__dataclass_fields__))
        if not isinstance(fields.get("bank"), str):
            raise RequestError(f"questions.bank must be a bank's name, not {shown(fields.get('bank'))}.")
        for name in ("limit", "seed", "draw"):
            if type(fields.get(name, 0)) is not int and (name, fields[name]) != ("limit", None):
                raise RequestError(f"questions.{name} must be a whole number, not {shown(fields[name])}.")
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values."""
        return {"bank": self.bank, "limit": self.limit, "seed": self.seed, "draw": self.draw}


@dataclass(frozen=True)
class Request:
    """One analysis of one question, of several, or (for checks of a model alone) of none.

    `questions` is a QuestionSet or the questions themselves. `params` belongs to the analysis, which checks it;
    it is kept as canonical JSON text so that a request is hashable.
    """

    analysis: str
    model: ModelSpec = field(default_factory=ModelSpec)
    question: Question | None = None
    questions: QuestionSet | tuple[Question, ...] | None = None
    prompt: PromptSpec = field(default_factory=PromptSpec)
    params_json: str = "{}"

    def __post_init__(self) -> None:
        if self.question is not None and self.questions is not None:
            raise RequestError("A request has either question or questions, not both.")
        if self.questions == ():
            raise RequestError("questions is an empty list. Give at least one question, or a bank.")

    @property
    def params(self) -> dict[str, Any]:
        """The analysis' own parameters; a fresh copy at each call."""
        params: dict[str, Any] = json.loads(self.params_json)
        return params

    @classmethod
    def build(cls, analysis: str, *, params: Mapping[str, Any] | None = None, **fields: Any) -> "Request":
        """A request with `params` given as a mapping."""
        return cls(analysis=analysis, params_json=canonical_json(dict(params or {})), **fields)

    @classmethod
    def from_json(cls, data: object) -> "Request":
        """Build from the request format of docs/api.md. Raises RequestError or QuestionError naming the field."""
        names = ("analysis", "model", "question", "questions", "prompt", "params")
        fields = fields_of("request", data, names)
        if not isinstance(fields.get("analysis"), str):
            raise RequestError(f"analysis must be an analysis' name, not {shown(fields.get('analysis'))}.")
        params = fields.get("params", {})
        if not isinstance(params, Mapping):
            raise RequestError(f"params must be an object, not {shown(params)}.")
        question, questions = fields.get("question"), fields.get("questions")
        return cls.build(
            fields["analysis"],
            params=params,
            model=ModelSpec.from_json(fields.get("model", {})),
            question=None if question is None else Question.from_json(question),
            questions=_questions(questions),
            prompt=PromptSpec.from_json(fields.get("prompt", {})),
        )

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values; every default written out."""
        data: dict[str, Any] = {"analysis": self.analysis, "model": self.model.to_json()}
        if self.question is not None:
            data["question"] = self.question.to_json()
        if isinstance(self.questions, QuestionSet):
            data["questions"] = self.questions.to_json()
        elif self.questions is not None:
            data["questions"] = [question.to_json() for question in self.questions]
        return {**data, "prompt": self.prompt.to_json(), "params": self.params}

    def canonical(self) -> str:
        """One ASCII text for one request: sorted keys, no blanks."""
        return canonical_json(self.to_json())


def _questions(data: object) -> QuestionSet | tuple[Question, ...] | None:
    if data is None:
        return None
    if isinstance(data, list | tuple):
        return tuple(Question.from_json(item) for item in data)
    return QuestionSet.from_json(data)
