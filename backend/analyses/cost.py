"""What an analysis takes, told before it is run: seconds and memory, from the model's sizes and the machine's speed.

`rows` rows times a matrix of W weights take 2 W (rows + half) / peak seconds: the speed is peak * rows / (rows + half),
and `half` says in rows what reading the matrix costs. What the other analyses take is counted in passes of the model;
each formula stands below under the analysis' name. Of a mixture of experts the weights that a row uses are counted,
not all that a batch reads.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import ceil
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from backend.analyses.analysis import Analysis, Findings, Task
from backend.analyses.attention import ATTENTION
from backend.analyses.attribution import ATTRIBUTION
from backend.analyses.attribution_patching import ATTRIBUTION_PATCHING, VERIFY
from backend.analyses.check_model import CHECK_MODEL
from backend.analyses.compression import COMPRESSION, RANKS
from backend.analyses.compression_arrays import DRAWS
from backend.analyses.effects import EFFECTS
from backend.analyses.effects import RECHECKED as EFFECTS_RECHECKED
from backend.analyses.key_steering import KEY_STEERING, STRENGTHS
from backend.analyses.mutations import CONDITIONS, MUTATIONS_ANALYSIS
from backend.analyses.patching import PATCHING, PATCHING_COST
from backend.analyses.patching import RECHECKED as PATCHING_RECHECKED
from backend.analyses.paths import PATHS
from backend.analyses.prediction import PREDICTION
from backend.analyses.projections import PARTS
from backend.analyses.readings import READINGS
from backend.analyses.self_check import SELF_CHECK, TEXT
from backend.analyses.subspace import SUBSPACE
from backend.analyses.swap_test import SWAP_TEST
from backend.engine.instrument import KEPT_TRACES_BYTES, Instrument
from backend.engine.sweep import COMPONENTS, Cell, Cost, Experiment, cost_of
from backend.engine.sweep.plan import BATCH_ROWS, PASS_FLOPS
from backend.errors import RequestError, shown
from backend.progress import Progress
from backend.questions.mutations import MUTATIONS
from backend.results.request import Request

MEASURED_ROWS = (1, 8, 64, 512)
ROUNDS = 3
COPIED_BYTES = 64 * 2**20
CALL_SECONDS = 1e-3
"""What a call of a layer costs beside its products: Python, hooks, small operations. Seen with one-token passes."""

_MACHINES: WeakKeyDictionary[Instrument, "Machine"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Work:
    """What has to be done. Works add up, and can be multiplied.

    Attributes:
        products: multiply-adds of matrix products.
        weights: how many weights, or numbers like them, are read from the model's memory, again at each reading.
        moved: bytes that go into a trace, or are gone through there.
        calls: how many times a layer is called.
        held: the most bytes of memory at a time, beside the weights; of a sum the larger.
    """

    products: float = 0
    weights: float = 0
    moved: float = 0
    calls: float = 0
    held: float = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.products + other.products,
            self.weights + other.weights,
            self.moved + other.moved,
            self.calls + other.calls,
            max(self.held, other.held),
        )

    def __mul__(self, times: float) -> "Work":
        return Work(
            self.products * times, self.weights * times, self.moved * times, self.calls * times, self.held
        )


@dataclass(frozen=True)
class Machine:
    """How fast a machine is.

    Attributes:
        peak: floating-point operations a second of products of many rows.
        half: how many rows reach half of it.
        copy: bytes a second from the model's memory into a trace.
        call: seconds of a layer's call beside its products.
    """

    peak: float
    half: float
    copy: float
    call: float = CALL_SECONDS

    def seconds(self, work: Work) -> float:
        """How long it takes at least."""
        products = 2 * (work.products + self.half * work.weights) / self.peak
        return products + work.moved / self.copy + self.call * work.calls


@dataclass(frozen=True)
class Asked:
    """What of a request decides its cost: one prompt of it, and whether it is one of several."""

    tokens: int
    labels: int
    several: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many corrupted prompts are drawn."""
        corruption = self.params.get("corruption", {})
        draws = corruption.get("draws", 1) if isinstance(corruption, Mapping) else 1
        return draws if type(draws) is int else 1

    def how_many(self, name: str, usual: Sequence[object]) -> int:
        """The length of a list among the params; of what is no list, which will be refused, the usual one."""
        given = self.params.get(name)
        return len(given) if isinstance(given, list) else len(usual)


@dataclass(frozen=True)
class Expected:
    """What a request takes: seconds as a rule, and the most bytes beside the weights."""

    seconds: float
    bytes: int


Formula = Callable[[Cost, Asked], Work]


def one_pass(cost: Cost, tokens: int) -> Work:
    """A pass of the model, the final position unembedded."""
    shape = cost.shape
    attended = 2 * tokens**2 * shape.heads * shape.d_head
    unembedding = shape.vocabulary * shape.d_model
    return Work(
        products=shape.layers * (tokens * cost.row + attended) + unembedding,
        weights=shape.layers * cost.row + unembedding,
        calls=shape.layers,
        held=tokens * cost.row_bytes(tokens),
    )


def trace_bytes(cost: Cost, tokens: int) -> int:
    """Memory of a trace: the residual stream and what is added to it, queries, keys, values and z, in float32."""
    shape = cost.shape
    residual = (3 if shape.parallel else 4) * shape.d_model
    return 4 * shape.layers * tokens * (residual + 3 * (shape.heads + shape.kv_heads) * shape.d_head)


def traced(cost: Cost, tokens: int) -> Work:
    """A pass, and each number of its trace written twice: room is made for it, then it is copied."""
    size = trace_bytes(cost, tokens)
    return one_pass(cost, tokens) + Work(moved=2 * size, held=size + tokens * cost.row_bytes(tokens))


def projected(cost: Cost, rows: float) -> Work:
    """`rows` rows through the output projection of each layer, which is first made a float32 matrix."""
    shape = cost.shape
    matrices = shape.layers * shape.d_model * shape.heads * shape.d_head
    return Work(products=rows * matrices, weights=matrices * (1 if cost.itemsize == 4 else 5))


def cones(cost: Cost, tokens: int, component: str, positions: Sequence[int], share: float = 1) -> Work:
    """A sweep over every layer and head of a component at some positions, or over a share of these cells.

    A layer is called once for each pass and batch; a pass begins, in the mean, half way up.
    """
    shape = cost.shape
    times = share * (COMPONENTS[component].head_count(shape) or 1)
    cells = [
        Experiment(0, ((component, Cell(layer, position, None)),))
        for layer in range(shape.layers)
        for position in positions
    ]
    flops = times * sum(cost.flops(tokens, cell) for cell in cells)
    rows = times * sum(cost.row_layers(tokens, cell) for cell in cells)
    passes = ceil(flops / PASS_FLOPS)
    calls = shape.layers * (1 + passes) / 2 + rows / BATCH_ROWS
    state = max(cost.state_bytes(tokens, cell) for cell in cells)
    return Work(
        products=flops / 2,
        weights=calls * cost.row,
        calls=calls,
        held=times * len(cells) / max(1, passes) * state + BATCH_ROWS * cost.row_bytes(tokens),
    )


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
    """Two traces, a pass with its graph, and back; with GradDrop back once more for each layer.

    Going back costs what a pass costs, since weights have no gradient. Every going back ends in estimates: a dozen
    times through the patterns in double precision, and through the traces.
    """
    shape, tokens = cost.shape, asked.tokens
    patterns = 8 * shape.layers * shape.heads * tokens**2
    graph = shape.layers * tokens * cost.row_bytes(tokens) + 2 * patterns
    back = one_pass(cost, tokens) + Work(moved=12 * patterns + 3 * trace_bytes(cost, tokens))
    times = 1 + shape.layers if asked.params.get("grad_drop") is True else 1
    found = one_pass(cost, tokens) + back * times + Work(held=graph + 3 * trace_bytes(cost, tokens))
    if isinstance(verify := asked.params.get("verify"), Mapping):
        cells = verify.get("top", VERIFY["top"]) + verify.get("random", VERIFY["random"])
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
    ranks = asked.how_many("ranks", RANKS) + 1
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
    return traced(cost, asked.tokens) * 2 + Work(held=2 * trace_bytes(cost, asked.tokens))


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
        Priced(ATTRIBUTION_PATCHING, attribution_patching, 1.1),
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


def expected(instrument: Instrument, task: Task, progress: Progress) -> Expected:
    """What a request of one of `PRICED` takes on this machine.

    A patching request's own estimate knows which cells need not be run.
    """
    name = task.request.analysis
    if name == PATCHING.name:
        found = PATCHING_COST.run(instrument, task, progress).scalars
        return Expected(found["seconds"], found["bytes"])
    priced, cost = PRICED[name], cost_of(instrument)
    prompts = _asked(instrument, task)
    traces = sum(trace_bytes(cost, asked.tokens) for asked in prompts)
    kept = Work(held=min(traces, KEPT_TRACES_BYTES))
    total = sum((priced.formula(cost, asked) for asked in prompts), kept)
    progress("Measuring this machine")
    return Expected(priced.seconds(machine_of(instrument), total), int(total.held))


def _asked(instrument: Instrument, task: Task) -> list[Asked]:
    params, several = task.request.params, task.request.question is None
    if task.request.analysis == SELF_CHECK.name:
        return [Asked(len(instrument.tokenizer(TEXT)["input_ids"]), labels=4)]
    prompts = task.prompts(instrument)
    return [Asked(len(prompt.token_ids), len(prompt.labels), several, params) for prompt in prompts]


def machine_of(instrument: Instrument) -> Machine:
    """`measure`, once for each instrument."""
    if instrument not in _MACHINES:
        _MACHINES[instrument] = measure(instrument)
    return _MACHINES[instrument]


@torch.no_grad()
def measure(instrument: Instrument, clock: Callable[[], float] = time.perf_counter) -> Machine:
    """The speed curve, from products of few and of many rows with the model's own matrices, and the speed of a copy.

    Few rows go through the matrices of many layers, so that each comes from memory, as it does in a pass.
    """
    matrices = [_largest(layer) for layer in instrument.family.layers(instrument.model)]
    taken, given = _sizes(matrices[0])
    each = []
    for rows in MEASURED_ROWS:
        some = matrices[: max(2, MEASURED_ROWS[-1] // rows)]
        hidden = torch.randn(rows, taken, dtype=instrument.model.dtype, device=instrument.model.device)
        seconds = _best(partial(_through, some, hidden), clock)
        each.append(seconds / (2 * len(some) * taken * given))
    peak, half = curve(MEASURED_ROWS, each)
    numbers = torch.zeros(COPIED_BYTES // 4, device=instrument.model.device)
    room = torch.empty(COPIED_BYTES // 4)
    copy = COPIED_BYTES / _best(lambda: room.copy_(numbers), clock)
    return Machine(peak=peak, half=half, copy=copy)


def curve(rows: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """The peak and the half of (rows + half) / peak seconds for two operations a weight, each error as a share."""
    slope, constant = np.polyfit(rows, seconds, 1, w=1 / np.array(seconds))
    return float(1 / slope), max(0.0, float(constant / slope))


def _through(modules: Sequence[nn.Module], hidden: torch.Tensor) -> torch.Tensor:
    last: torch.Tensor = [module(hidden) for module in modules][-1]
    return last


def _best(call: Callable[[], torch.Tensor], clock: Callable[[], float]) -> float:
    """The least seconds of a few calls; reading a number waits for a graphics card."""
    seconds = []
    for _ in range(ROUNDS):
        begun = clock()
        float(call().flatten()[0])
        seconds.append(clock() - begun)
    return min(seconds)


def _largest(layer: nn.Module) -> nn.Module:
    linear = [module for module in layer.modules() if isinstance(module, nn.Linear | Conv1D)]
    return max(linear, key=lambda module: _sizes(module)[0] * _sizes(module)[1])


def _sizes(module: nn.Module) -> tuple[int, int]:
    """How many numbers a matrix takes and gives."""
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    assert isinstance(module, Conv1D)
    return module.nx, module.nf


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """What another analysis of the same questions would take. Scalars `seconds`, `bytes` (beside the weights)."""
    params = task.request.params
    name, inner = params.get("analysis"), params.get("params", {})
    if name not in PRICED:
        raise RequestError(f"params.analysis must be one of {', '.join(PRICED)}, not {shown(name)}.")
    if not isinstance(inner, Mapping):
        raise RequestError(f"params.params must be an object, not {shown(inner)}.")
    fields = {part: getattr(task.request, part) for part in ("model", "question", "questions", "prompt")}
    request = Request.build(name, params=inner, **fields)
    PRICED[name].analysis.check(request)
    return Findings(scalars=asdict(expected(instrument, replace(task, request=request), progress)))


COST = Analysis(
    name="cost",
    version=1,
    summary="how long another analysis takes on this machine, and how much memory",
    takes=("question", "questions", "nothing"),
    run=run,
    params=("analysis", "params"),
)
