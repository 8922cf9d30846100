"""What an analysis takes and gives. Its function is imported at the first call, since torch takes seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

from backend.contract.asked import Asked, most_options
from backend.contract.errors import RequestError, shown
from backend.contract.fields import canonical_json
from backend.contract.param import Param, deciding, read_all
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request
from backend.contract.spec import ArraySpec, ScalarSpec

Takes = Literal["question", "questions", "nothing"]
Rule = Callable[[Asked, dict[str, Any]], dict[str, Any]]
"""From the request and its parameters' values to the values that hold; raises RequestError."""


@dataclass(frozen=True)
class Lazy:
    """A function by the names of its module and itself, imported at the first call."""

    module: str
    function: str

    def __call__(self, *arguments: Any) -> Any:
        return getattr(import_module(self.module), self.function)(*arguments)


def no_rule(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
    """Each parameter stands for itself."""
    return values


@dataclass(frozen=True)
class Analysis:
    """One entry of the registry: all that the other parts of the project know of an analysis.

    Attributes:
        name: as requests name it.
        version: goes up when the meaning of a result changes; saved results of the old one are then not used.
        summary: one line for people.
        takes: which of question and questions a request must carry.
        run: from an Instrument, a Task and a Progress to Findings.
        params: what a request may carry in params.
        rule: what holds between several parameters.
        arrays, scalars: what its result has.
        example: params of a request for it, where some are needed.
        stored: whether its result is saved. An estimate is of this machine, now, and is not.
        interactive: whether it is answered in about a forward pass, and so goes before longer jobs that wait.
    """

    name: str
    version: int
    summary: str
    takes: tuple[Takes, ...]
    run: Callable[..., Any]
    params: tuple[Param, ...] = ()
    rule: Rule = no_rule
    arrays: tuple[ArraySpec, ...] = ()
    scalars: tuple[ScalarSpec, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    stored: bool = True
    interactive: bool = False

    def check(self, request: Request, questions: Sequence[Question] = ()) -> None:
        """Refuse what can be refused without a model. Raises RequestError and QuestionError."""
        self.values(request, questions)

    def values(self, request: Request, questions: Sequence[Question] = ()) -> dict[str, Any]:
        """Every parameter's canonical value, defaults filled in; `questions` are those of the request's bank.

        Raises RequestError and QuestionError for whatever is wrong without regard to a model.
        """
        asked = Asked.of(request, questions)
        if asked.given not in self.takes:
            raise RequestError(
                f"The analysis {self.name} takes {' or '.join(self.takes)}; this request carries {asked.given}."
            )
        given = request.params
        names = [param.name for param in self.params]
        for name in given:
            if name not in names:
                raise RequestError(
                    f"{self.name} has no parameter {shown(name)}. Parameters: {', '.join(names) or 'none'}."
                )
        values = read_all("params", self.params, given, asked)
        for param in self.params:
            if param.only and param.name in given and asked.given != param.only:
                raise RequestError(f"params.{param.name} goes with one question, not with several.")
        for question in asked.questions:
            asked.check_labels(question)
        return self.rule(asked, values)

    def canonical(self, request: Request, shown: Sequence[Question] = ()) -> Request:
        """The same request in its one form: defaults filled in, and without what decides no number.

        `shown` are all questions that its prompts show, solved ones too, where the request names a bank. Two requests
        with one canonical form have the same result. Raises what `values` raises.
        """
        values = self.values(request, shown)
        questions = request.questions
        if isinstance(questions, QuestionSet) and questions.limit is None:
            questions = replace(questions, seed=0)
        asked = Asked.of(request)
        everything = [*shown, *asked.questions]
        if isinstance(other := values.get("corruption"), dict) and "question" in other:
            everything.append(Question.from_json(other["question"]))
        return replace(
            request,
            questions=questions,
            prompt=_prompt(request.prompt, asked.given, most_options(everything)),
            params_json=canonical_json(deciding(self.params, values)),
        )


def _prompt(spec: PromptSpec, given: str, options: int) -> PromptSpec:
    """Without labels that no question has an option for, and without a bank for no shots."""
    if given == "nothing":
        return PromptSpec()
    return replace(
        spec,
        labels=spec.labels[:options] if options else spec.labels,
        shots_from=spec.shots_from if spec.shots else "",
    )
