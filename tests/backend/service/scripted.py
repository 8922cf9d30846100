"""A host that does what a test says, and tickets without a model."""

from dataclasses import replace

from backend.contract.model import ModelSpec
from backend.contract.request import Request
from backend.service.host import Hear
from backend.service.messages import Cancel, Failed, FromHost, Run, ToHost
from tests import hand_wired
from tests.backend.service.serving import MODEL

OTHER = ModelSpec("smollm2-135m")


def short(number: int, model: ModelSpec = MODEL) -> Request:
    """A request that is answered in about a forward pass."""
    question = replace(hand_wired.question(number % 4), stem=f"What is {number}?")
    return Request.build("prediction", model=model, question=question)


def long(number: int, model: ModelSpec = MODEL) -> Request:
    """A sweep."""
    return replace(short(number, model), analysis="patching")


class ScriptedHost:
    """Keeps what it is sent; a test answers."""

    def __init__(self) -> None:
        self.sent: list[ToHost] = []
        self.killed: list[str] = []
        self.hear: Hear = lambda message: None

    def listen(self, hear: Hear) -> None:
        self.hear = hear

    def start(self) -> None:
        pass

    def send(self, message: ToHost) -> None:
        self.sent.append(message)

    def kill(self, why: str) -> None:
        self.killed.append(why)

    def close(self) -> None:
        pass

    def say(self, message: FromHost) -> None:
        self.hear(message)

    @property
    def runs(self) -> list[Run]:
        return [message for message in self.sent if isinstance(message, Run)]

    @property
    def stems(self) -> list[str]:
        """What was run, in its order: the number of the question, with its analysis' first letter."""
        return [
            run.request["analysis"][:2] + run.questions[0]["stem"].removeprefix("What is ").removesuffix("?")
            for run in self.runs
        ]

    @property
    def cancels(self) -> list[str]:
        return [message.job for message in self.sent if isinstance(message, Cancel)]

    def end(self, stem: str) -> None:
        """The run is over, in vain."""
        run = self.runs[len(self.stems) - 1 - self.stems[::-1].index(stem)]
        self.say(Failed(run.job, "ModelError", "over"))
