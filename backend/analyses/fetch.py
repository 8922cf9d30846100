"""From a request to a task: its questions fetched, and the shots that go before each of them."""

from collections.abc import Iterator

from backend.analyses import analysis_named
from backend.analyses.task import Task
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request
from backend.questions.banks import check_bank, draw, draw_shots


def fetch(request: Request) -> Task:
    """Fetch what a request names, and refuse what can be refused without a model.

    Raises RequestError, and QuestionError for an unknown bank, one with too few shots, and for too few labels.
    """
    analysis = analysis_named(request.analysis)
    analysis.check(request)  # before banks are read, which may take a while
    questions = _questions(request)
    for name in _banks(analysis.values(request, questions)):
        check_bank(name)
    bank = request.questions.bank if isinstance(request.questions, QuestionSet) else ""
    shots = tuple(draw_shots(question, request.prompt, bank) for question in questions)
    return Task(request, questions, shots)


def _questions(request: Request) -> tuple[Question, ...]:
    if request.question is not None:
        return (request.question,)
    if isinstance(request.questions, QuestionSet):
        return draw(request.questions)
    return request.questions or ()


def _banks(values: object) -> Iterator[str]:
    """The banks that an analysis' parameters name."""
    if isinstance(values, dict):
        for name, value in values.items():
            if name == "bank":
                yield value
            else:
                yield from _banks(value)
