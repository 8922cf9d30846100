"""From a request to a task: its questions fetched, and the shots that go before each of them."""

from backend.analyses.task import Task
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request
from backend.questions.banks import draw, draw_shots


def fetch(request: Request) -> Task:
    """Fetch what a request names. Raises QuestionError for an unknown bank or one with too few shots."""
    questions = _questions(request)
    bank = request.questions.bank if isinstance(request.questions, QuestionSet) else ""
    shots = tuple(draw_shots(question, request.prompt, bank) for question in questions)
    return Task(request, questions, shots)


def _questions(request: Request) -> tuple[Question, ...]:
    if request.question is not None:
        return (request.question,)
    if isinstance(request.questions, QuestionSet):
        return draw(request.questions)
    return request.questions or ()
