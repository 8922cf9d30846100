"""What each analysis has to do for one prompt, under its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backend.analyses.attention.schema import ATTENTION
from backend.analyses.attribution.schema import ATTRIBUTION
from backend.analyses.checks.schema import CHECK_MODEL, READINGS, SELF_CHECK
from backend.analyses.circuit.effects import RECHECKED as EFFECTS_RECHECKED
from backend.analyses.circuit.schema import EFFECTS, PATHS
from backend.analyses.cost.machine import Machine
from backend.analyses.cost.work import Asked, Work, cones, one_pass, projected, traced
from backend.analyses.mutations.mutations import CONDITIONS
from backend.analyses.mutations.schema import KEY_STEERING, MUTATIONS_ANALYSIS, STRENGTHS, SWAP_TEST
from backend.analyses.patching.patching import RECHECKED as PATCHING_RECHECKED
from backend.analyses.patching.schema import ATTRIBUTION_PATCHING, PATCHING
from backend.analyses.prediction.schema import PREDICTION
from backend.analyses.subspace.compression import usual_ranks
from backend.analyses.subspace.compression_arrays import DRAWS
from backend.analyses.subspace.projections import PARTS
from backend.analyses.subspace.schema import COMPRESSION, SUBSPACE
from backend.contract.analysis import Analysis
from backend.engine.gradients import PER_TRACE
from backend.engine.sweep import Cost
from backend.engine.trace import trace_bytes
from backend.questions.mutations import MUTATIONS

Formula = Callable[[Cost, Asked], Work]


def prediction(cost: Cost, asked: Asked) -> Work:
    """A trace."""
    return traced(cost, asked.tokens)


def attribution(cost: Cost, asked: Asked) -> Work:
    """A trace, and each label's direction through each output projection.

    The mean of W_U goes down its columns, which takes as long as reading it four times; one of many has it already.
    """
    shape = cost.shape
    mean = 0 if asked.several else 4 * shape.vocabulary * shape.d_model
    return traced(cost, asked.tokens) + projected(cost, asked.labels) + Work(weights=mean)


def attention(cost: Cost, asked: Asked) -> Work:
    """A trace; for one question also each head's values through its output projection, for their lengths."""
    shape, found = cost.shape, traced(cost, asked.tokens)
    if asked.several:
        return found
    lengths = 2 * shape.layers * shape.heads * asked.tokens * shape.d_model
    return found + projected(cost, asked.tokens) + Work(weights=lengths)


def patching(cost: Cost, asked: Asked) -> Work:
    """Two traces, the cones, and the passes that re-check some of them."""
    positions = asked.params.get("positions", "all")
    if not isinstance(positions, list):
        positions = [asked.tokens - 1] if positions == "final" else range(asked.tokens)
    swept = cones(cost, asked.tokens, asked.params.get("component", "z"), positions)
    return (_two_runs(cost, asked) + swept) * asked.draws + one_pass(cost, asked.tokens) * PATCHING_RECHECKED


def effects(cost: Cost, asked: Asked) -> Work:
    """Two traces, the cones of every head and MLP at the final position, re-checks, and what each head writes."""
    final, shape = [asked.tokens - 1], cost.shape
    swept = cones(cost, asked.tokens, "z", final) + cones(cost, asked.tokens, "mlp_out", final)
    rechecked = one_pass(cost, asked.tokens) * EFFECTS_RECHECKED
    return (_two_runs(cost, asked) + swept + rechecked + projected(cost, shape.heads + 1)) * asked.draws


def attribution_patching(cost: Cost, asked: Asked) -> Work:
    """Two traces, one of them with its graph, and back; with GradDrop back once more for each layer.

    Going back costs what a pass costs, since weights have no gradient. Every going back ends in estimates: a dozen
    times through the patterns in double precision, head by head, and through the traces. Their small operations take
    a layer 1.2 times, and each of its heads 0.4 times, what calling a layer does (measured on three models).
    """
    shape, tokens = cost.shape, asked.tokens
    patterns = 8 * shape.layers * shape.heads * tokens**2
    estimates = Work(
        moved=12 * patterns + 3 * trace_bytes(shape, tokens), calls=shape.layers * (1.2 + 0.4 * shape.heads)
    )
    back = one_pass(cost, tokens) + estimates
    times = 1 + shape.layers if asked.params.get("grad_drop") is True else 1
    found = back * times + Work(held=PER_TRACE * trace_bytes(shape, tokens))
    if isinstance(verify := asked.params.get("verify"), Mapping):
        cells = verify["top"] + verify["random"]
        share = cells / (shape.layers * shape.heads * tokens)
        found += cones(cost, tokens, "z", range(tokens), share)
    return (_two_runs(cost, asked) + found) * asked.draws


def paths(cost: Cost, asked: Asked) -> Work:
    """Two traces, what every head writes at every position, those writes through queries, keys and values of a layer,
    and one cone for each of them and each input. This is the dearest, into the last layer."""
    shape, tokens = cost.shape, asked.tokens
    senders = shape.layers * (shape.heads + 1)
    read = shape.d_model * (shape.heads + 2 * shape.kv_heads) * shape.d_head
    written = projected(cost, tokens * (shape.heads + 1))
    through = Work(products=senders * tokens * read, weights=senders * read / 32, held=senders * tokens * 4)
    size = 4 * senders * tokens * shape.d_model
    received = through + Work(moved=6 * size, held=2 * size)
    return (
        _two_runs(cost, asked) + written + received + cones(cost, tokens, "z", [tokens - 1], 3)
    ) * asked.draws


def subspace(cost: Cost, asked: Asked) -> Work:
    """A trace."""
    return traced(cost, asked.tokens)


def compression(cost: Cost, asked: Asked) -> Work:
    """Two traces, the rotation of a few positions, and a one-row cone for each rank and projection."""
    ranks = asked.how_many("ranks", usual_ranks(cost.shape.d_head))
    cases = 3 + ranks * (len(PARTS) + DRAWS)
    return traced(cost, asked.tokens) * 2 + _exchanged(cost, asked, cases)


def mutations(cost: Cost, asked: Asked) -> Work:
    """For each mutation two traces and a one-row cone for each condition and each mutation fitted under."""
    kinds = len(MUTATIONS)
    return (traced(cost, asked.tokens) * 2 + _exchanged(cost, asked, len(CONDITIONS) + kinds)) * kinds


def _exchanged(cost: Cost, asked: Asked, cases: int) -> Work:
    """One-row cones of one head; of several those of each alone, and of all twice: for what they read, and run."""
    shape, heads = cost.shape, asked.how_many("heads", (0,))
    times = heads + 2 if heads > 1 else 1
    return cones(cost, asked.tokens, "z", [asked.tokens - 1], cases * times / (shape.layers * shape.heads))


def swap_test(cost: Cost, asked: Asked) -> Work:
    """A trace with the usual labels, and two with shuffled ones."""
    return traced(cost, asked.tokens) * 3


def key_steering(cost: Cost, asked: Asked) -> Work:
    """Two traces, and a one-row cone for each option, strength and kind of direction."""
    cases = 1 + asked.labels * (1 + 2 * asked.how_many("strengths", STRENGTHS))
    return traced(cost, asked.tokens) * 2 + _exchanged(cost, asked, cases)


def check_model(cost: Cost, asked: Asked) -> Work:
    """A pass over the prompt, and a short one for each option's text."""
    return one_pass(cost, asked.tokens) + one_pass(cost, 2) * asked.labels


def readings(cost: Cost, asked: Asked) -> Work:
    """Attribution; the patching of the first few questions is not counted."""
    return attribution(cost, asked)


def self_check(cost: Cost, asked: Asked) -> Work:
    """A trace, a plain pass, W_U copied and multiplied with once more, attribution and attention."""
    unembedding = cost.shape.vocabulary * cost.shape.d_model
    plain = one_pass(cost, asked.tokens) + Work(weights=3 * unembedding, held=cost.itemsize * unembedding)
    return plain + attribution(cost, asked) + projected(cost, 1)


def _two_runs(cost: Cost, asked: Asked) -> Work:
    return traced(cost, asked.tokens) * 2 + Work(held=2 * trace_bytes(cost.shape, asked.tokens))


@dataclass(frozen=True)
class Priced:
    """An analysis with its formula, and what it really takes as a multiple of that.

    Measured by `scripts/bench scale`; those of paths, check-model, readings and self-check are taken from the others.
    """

    analysis: Analysis
    formula: Formula
    overhead: float

    def seconds(self, machine: Machine, work: Work) -> float:
        """How long so much work of it takes as a rule."""
        return self.overhead * machine.seconds(work)


PRICED: dict[str, Priced] = {
    priced.analysis.name: priced
    for priced in (
        Priced(PREDICTION, prediction, 1.0),
        Priced(ATTRIBUTION, attribution, 1.05),
        Priced(ATTENTION, attention, 1.1),
        Priced(PATCHING, patching, 1.2),
        Priced(EFFECTS, effects, 1.1),
        Priced(PATHS, paths, 1.2),
        Priced(ATTRIBUTION_PATCHING, attribution_patching, 1.15),
        Priced(SUBSPACE, subspace, 1.0),
        Priced(COMPRESSION, compression, 1.0),
        Priced(MUTATIONS_ANALYSIS, mutations, 1.0),
        Priced(SWAP_TEST, swap_test, 1.0),
        Priced(KEY_STEERING, key_steering, 1.0),
        Priced(CHECK_MODEL, check_model, 1.1),
        Priced(READINGS, readings, 1.05),
        Priced(SELF_CHECK, self_check, 1.1),
    )
}
