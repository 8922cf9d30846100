"""A loaded model made ready for analyses: its family, its weights, and a cache of traces."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.recording import trace
from backend.engine.trace import MAX_POSITIONS, Trace
from backend.engine.weights import Weights
from backend.models.families import family_of
from backend.models.load import RunnableModel
from backend.models.placement import device_of
from backend.questions.prompt import Prompt
from backend.questions.render import render

CACHED_TRACES_BYTES = 512 * 2**20


class Instrument:
    """A loaded model and a cache of its traces. Not thread-safe: only the worker that owns it may call it.

    Attributes:
        layers_on: how many layers run on each device.
    """

    def __init__(self, loaded: RunnableModel) -> None:
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
        """The prompt of a question for this model. Raises QuestionError, also if it is too long to trace."""
        return render(
            question,
            spec,
            self.tokenizer,
            shots=shots,
            token_limit=min(self.shape.max_positions, MAX_POSITIONS),
            model_name=self.resolved.name,
        )

    def trace(self, token_ids: tuple[int, ...], progress: Progress = silent) -> Trace:
        """A prompt's trace: from the cache, or of a new pass. Raises ModelError and Cancelled as a pass does."""
        cached = self._traces.get(token_ids)
        if cached is not None:
            self._traces.move_to_end(token_ids)
            return cached
        fresh = trace(self.model, self.family, token_ids, progress)
        self.cache(token_ids, fresh)
        return fresh

    def cache(self, token_ids: tuple[int, ...], fresh: Trace) -> None:
        """Add a trace to the cache, and drop the least recently used ones beyond CACHED_TRACES_BYTES.

        The last two always stay: an analysis that compares two runs asks for both of them again and again.
        """
        self._traces[token_ids] = fresh
        while len(self._traces) > 2 and self.cached_bytes() > CACHED_TRACES_BYTES:
            self._traces.popitem(last=False)

    def cached_bytes(self) -> int:
        """Bytes of the cached traces, which are in the processor's memory."""
        return sum(cached.nbytes for cached in list(self._traces.values()))
