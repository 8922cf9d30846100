"""A loaded model made ready for analyses: its family, its weights, and a cache of traces."""

from collections import Counter, OrderedDict
from collections.abc import Sequence

from backend.contract.errors import ResourceError
from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.engine.recording import trace
from backend.engine.trace import Trace, trace_bytes
from backend.engine.weights import Weights
from backend.models.families import Shape, family_of
from backend.models.load import RunnableModel
from backend.models.memory import available_memory
from backend.models.placement import device_of
from backend.questions.prompt import Prompt
from backend.questions.render import render

CACHED_TRACES_BYTES = 512 * 2**20
PASS_FACTOR = 40
"""Memory of one token in a pass, as a multiple of the residual stream's: measured with 8,000 tokens of a 0.5B model."""


def kept_whole(shape: Shape, tokens: int) -> bool:
    """Whether a trace of all positions may stay in the cache."""
    return trace_bytes(shape, tokens) <= CACHED_TRACES_BYTES


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
        self._traces: OrderedDict[tuple[tuple[int, ...], bool], Trace] = OrderedDict()

    def prompt(self, question: Question, spec: PromptSpec, shots: Sequence[Question] = ()) -> Prompt:
        """The prompt of a question for this model. Raises QuestionError, also if the model takes no so long ones."""
        return render(
            question,
            spec,
            self.tokenizer,
            shots=shots,
            token_limit=self.shape.max_positions,
            model_name=self.resolved.name,
        )

    def trace(self, token_ids: tuple[int, ...], progress: Progress = silent) -> Trace:
        """A prompt's trace: from the cache, or of a new pass.

        Raises ModelError and Cancelled as a pass does, and ResourceError if there is too little memory.
        """
        return self._traced(token_ids, progress, final=False)

    def final_trace(
        self, token_ids: tuple[int, ...], progress: Progress = silent, *, many: bool = False
    ) -> Trace:
        """The same for what needs the final position only, and its keys and values.

        A trace of all positions serves too, and other analyses will ask for it. So a prompt whose trace may stay in the
        cache gets that one. A longer prompt gets a trace of the final position, a tenth to a hundredth of the size; so
        does one of `many`, whose traces are needed at the same time.
        """
        whole = (not many and kept_whole(self.shape, len(token_ids))) or (token_ids, False) in self._traces
        return self._traced(token_ids, progress, final=not whole)

    def _traced(self, token_ids: tuple[int, ...], progress: Progress, *, final: bool) -> Trace:
        cached = self._traces.get((token_ids, final))
        if cached is not None:
            self._traces.move_to_end((token_ids, final))
            return cached
        self._check_memory(len(token_ids), final=final)
        fresh = trace(self.model, self.family, token_ids, progress, final=final)
        self.cache(token_ids, fresh, final=final)
        return fresh

    def cache(self, token_ids: tuple[int, ...], fresh: Trace, *, final: bool = False) -> None:
        """Add a trace to the cache, and drop the least recently used ones beyond CACHED_TRACES_BYTES.

        The last two stay until `between_jobs`: an analysis that compares two runs asks for both again and again.
        """
        self._traces[token_ids, final] = fresh
        self._drop(2)

    def between_jobs(self) -> bool:
        """Drop traces until the cache is within CACHED_TRACES_BYTES, were it the last one. Whether any was dropped."""
        return self._drop(0)

    def _drop(self, least: int) -> bool:
        dropped = False
        while len(self._traces) > least and self.cached_bytes() > CACHED_TRACES_BYTES:
            self._traces.popitem(last=False)
            dropped = True
        return dropped

    def _check_memory(self, tokens: int, *, final: bool) -> None:
        need = trace_bytes(self.shape, tokens, final=final) + 4 * PASS_FACTOR * self.shape.d_model * tokens
        # Traces that the new one takes the place of.
        free = available_memory("cpu") + max(0, self.cached_bytes() - CACHED_TRACES_BYTES)
        if need > free:
            part = "the final position" if final else "all positions"
            raise ResourceError(
                f"To record {part} of a prompt of {tokens:,} tokens takes about {need / 1e9:.1f} GB, and "
                f"{free / 1e9:.1f} GB are free. Take a shorter prompt or fewer shots, or close other programs."
            )

    def cached_bytes(self) -> int:
        """Bytes of the cached traces, which are in the processor's memory."""
        return sum(cached.nbytes for cached in list(self._traces.values()))
