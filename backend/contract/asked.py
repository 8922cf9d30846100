"""What a parameter's value is held against before any model is loaded: the request around it and its questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.contract.errors import QuestionError, shown
from backend.contract.question import Question
from backend.contract.request import QuestionSet, Request


@dataclass(frozen=True)
class Asked:
    """A request, and the questions that it is about as far as they are known: a bank's only once it was read."""

    request: Request
    questions: tuple[Question, ...]

    @classmethod
    def of(cls, request: Request, questions: Sequence[Question] = ()) -> "Asked":
        """`questions` are those of the request's bank, where it names one."""
        if request.question is not None:
            return cls(request, (request.question,))
        if isinstance(request.questions, QuestionSet):
            return cls(request, tuple(questions))
        return cls(request, request.questions or ())

    @property
    def given(self) -> str:
        """What the request carries: "question", "questions" or "nothing"."""
        if self.request.question is not None:
            return "question"
        return "nothing" if self.request.questions is None else "questions"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that its prompts show; all that it names while the questions are not known."""
        labels = self.request.prompt.labels
        return labels[: most_options(self.questions)] if self.questions else labels

    @property
    def right(self) -> str | None:
        """The right label of its only question; None for several questions, or where nobody said which is right."""
        question = self.request.question
        if question is None or question.answer is None:
            return None
        return self.labels[question.answer]

    def check_labels(self, question: Question) -> None:
        """Raise QuestionError where a question has more options than there are labels."""
        labels = self.request.prompt.labels
        if len(question.options) > len(labels):
            raise QuestionError(
                f"The question has {len(question.options)} options but only {len(labels)} labels. Add labels."
            )

    def check_answers(self) -> None:
        """Raise QuestionError where one of several questions has no right answer: what is told is of right answers."""
        for question in self.questions if self.given == "questions" else ():
            if question.answer is None:
                raise QuestionError(
                    f"A question without a right answer cannot be averaged: {shown(question.stem)}. "
                    "Give its answer, or leave it out."
                )


def most_options(questions: Sequence[Question]) -> int:
    """How many options the question with the most has; 0 for no questions."""
    return max((len(question.options) for question in questions), default=0)
