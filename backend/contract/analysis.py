"""What an analysis takes and gives. Its function is imported at the first call, since torch takes seconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Literal

from backend.contract.asked import Asked, most_options
from backend.contract.check_spec import CheckSpec
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

    @property
    def target(self) -> Any:
        """What has that name."""
        return getattr(import_module(self.module), self.function)

    def __call__(self, *arguments: Any) -> Any:
        return self.target(*arguments)


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
        checks: the figures that check it.
        example: params of a request for it, where some are needed.
        cost: its `CostModel`, see backend/analyses/cost; None where the cost cannot be asked for.
        overhead: measured seconds as a multiple of the cost model's (`scripts/bench scale`).
        stored: whether its result is saved. An estimate is of this machine, now, and is not.
        letters_alike: whether its means over questions weigh each right letter alike, however often it is right.
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
    checks: tuple[CheckSpec, ...] = ()
    example: Mapping[str, Any] = field(default_factory=dict)
    cost: Lazy | None = None
    overhead: float = 1.0
    stored: bool = True
    letters_alike: bool = False
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
        asked.check_answers()
        return self.rule(asked, values)

    def canonical(self, request: Request, questions: Sequence[Question] = ()) -> Request:
        """The same request in its one form: defaults filled in, and without what decides no number.

        `questions` are all that its prompts show, solved ones too. Where they are needed and not given, all labels
        stay. Two requests with one canonical form have the same result. Raises what `values` raises.
        """
        values = self.values(request, questions)
        about = request.questions
        if isinstance(about, QuestionSet) and about.limit is None:
            about = QuestionSet(about.bank)
        return replace(
            request,
            questions=about,
            prompt=_prompt(Asked.of(request, questions), questions, values),
            params_json=canonical_json(deciding(self.params, values)),
        )


def _prompt(asked: Asked, questions: Sequence[Question], values: Mapping[str, Any]) -> PromptSpec:
    """Without labels that no question has an option for, and without a bank for no shots."""
    spec = asked.request.prompt
    if asked.given == "nothing":
        return PromptSpec()
    everything = [*questions, *asked.questions]
    if not spec.shots:
        spec = replace(spec, shots_from="")
    if not everything or (spec.shots and not questions):
        return spec
    corruption = values.get("corruption") or {}
    if "question" in corruption:
        everything.append(Question.from_json(corruption["question"]))
    return replace(spec, labels=spec.labels[: most_options(everything)])
