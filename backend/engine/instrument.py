"""A loaded model made ready for analyses: its family and weights at hand, and the traces it left lately."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.recording import trace
from backend.engine.trace import MAX_POSITIONS, Trace
from backend.engine.weights import Weights
from backend.models.families import family_of
from backend.models.load import LoadedModel
from backend.models.placement import device_of
from backend.questions.prompt import Prompt
from backend.questions.render import render

KEPT_TRACES_BYTES = 512 * 2**20


class Instrument:
    """One resident model. Not thread-safe: the worker that owns it is its only caller.

    `layers_on` counts the layers that run on each device.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.tokenizer = loaded.tokenizer
        self.resolved = loaded.resolved
        self.family = family_of(loaded.model)
        self.shape = self.family.shape(loaded.model)
        self.weights = Weights(loaded.model, self.family)
        self.layers_on = Counter(str(device_of(layer)) for layer in self.family.layers(loaded.model))
        self._traces: OrderedDict[tuple[int, ...], Trace] = OrderedDict()

    def prompt(self, question: Question, spec: PromptSpec, shots: Sequence[Question] = ()) -> Prompt:
        """Render one question for this model. Raises QuestionError, also where it is too long to trace."""
        return render(
            question,
            spec,
            self.tokenizer,
            shots=shots,
            token_limit=min(self.shape.max_positions, MAX_POSITIONS),
            model_name=self.resolved.name,
        )

    def trace(self, token_ids: tuple[int, ...], progress: Progress = silent) -> Trace:
        """A prompt's trace: the one kept from before, or a new pass."""
        kept = self._traces.get(token_ids)
        if kept is not None:
            self._traces.move_to_end(token_ids)
            return kept
        fresh = trace(self.model, self.family, token_ids, progress)
        self.keep(token_ids, fresh)
        return fresh

    def keep(self, token_ids: tuple[int, ...], fresh: Trace) -> None:
        """Keep a prompt's trace for who asks next; the longest unused are dropped for it, but for one.

        Two stay however long they are: who compares two runs asks for each of them again and again.
        """
        self._traces[token_ids] = fresh
        while len(self._traces) > 2 and self.kept_bytes() > KEPT_TRACES_BYTES:
            self._traces.popitem(last=False)

    def kept_bytes(self) -> int:
        """What the traces kept take of the processor's memory."""
        return sum(kept.nbytes for kept in list(self._traces.values()))
