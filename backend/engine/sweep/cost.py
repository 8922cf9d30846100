"""What a sweep costs: the floating-point operations of its cones, and the memory of an experiment and of a row.

Example: 3 layers, 4 tokens, a patch of `z` at layer 0 and position 2 (the left picture in `cone.py`). Counted are

    layer 0   the output projection and the MLP of 1 row
    layer 1   all matrices of 2 rows; scores and weighted values of 3 + 4 keys
    layer 2   keys and values of the row at position 2; all matrices of the last row, and its 4 keys

That is 5 rows through a layer (`row_layers`), and the experiment's state is 2 rows of `d_model` numbers.
"""

from dataclasses import dataclass

from torch import nn
from transformers.pytorch_utils import Conv1D

from backend.engine.instrument import Instrument
from backend.engine.sweep.experiment import Experiment
from backend.models.families import Shape

ROW_FACTOR = 2.5
"""Memory of a row while it goes through a layer, in multiples of the outputs of the layer's linear modules: norms,
activations and copies for attention take memory too."""


@dataclass(frozen=True)
class Cost:
    """One model's sizes, and the costs that follow from them.

    Attributes:
        row: multiply-adds of one row through one layer's matrices. It is measured on the first layer; all are alike.
        widths: the numbers that those matrices output for one row, together.
        itemsize: bytes of a number.
        whole_model: whether each experiment is a pass of the whole model.
        device: cpu, cuda, mps or offload.
    """

    shape: Shape
    row: int
    widths: int
    itemsize: int
    whole_model: bool
    device: str

    def flops(self, tokens: int, experiment: Experiment) -> float:
        """Floating-point operations of an experiment; a multiply-add is two.

        In a cone the first layer counts the output projection and MLP of the rows that the patch reaches; the layers
        above it all rows; the last layer, for the rows before the last, keys and values only. A pass of the whole model
        counts all layers and rows.
        """
        if self.whole_model:
            scores = self.shape.heads * self.shape.d_head * (tokens + 1)
            return 2.0 * self.shape.layers * tokens * (self.row + scores)
        shape, last = self.shape, self.shape.layers - 1
        # Multiply-adds of one row; scores are those of one query with one key, and its weighted value.
        keys_values = 2 * shape.d_model * shape.kv_heads * shape.d_head
        queries = shape.d_model * shape.heads * shape.d_head
        scores = 2 * shape.heads * shape.d_head
        width = tokens - experiment.position
        # Keys that all rows together attend to: position + 1 for the first row, `tokens` for the last.
        attended = (experiment.position + 1 + tokens) * width // 2
        reached = 1 if experiment.one_row or experiment.layer == last else width
        total = reached * (self.row - keys_values - queries)
        if experiment.layer < last:
            total += (last - 1 - experiment.layer) * (width * self.row + attended * scores)
            total += (width - 1) * keys_values + self.row + tokens * scores
        return 2.0 * total

    def row_layers(self, tokens: int, experiment: Experiment) -> int:
        """How many rows go through a layer, summed over the layers."""
        width, above = tokens - experiment.position, self.shape.layers - 1 - experiment.layer
        return width * above + (1 if experiment.one_row else width)

    def state_bytes(self, tokens: int, experiment: Experiment) -> int:
        """Memory, in bytes, of an experiment's rows from its first layer to the end of its pass."""
        return (tokens - experiment.position) * self.shape.d_model * self.itemsize

    def call_bytes(self, tokens: int, rows: int) -> int:
        """Memory, in bytes, of one experiment's rows in a call of a layer, with keys and values of all tokens."""
        keys = 2 * self.shape.kv_heads * self.shape.d_head * tokens
        return int(self.itemsize * (ROW_FACTOR * self.widths * rows + keys))

    def row_bytes(self, tokens: int) -> int:
        """The most memory, in bytes, that one row takes in a call: that of an experiment of one row."""
        return self.call_bytes(tokens, 1)


def cost_of(instrument: Instrument) -> Cost:
    """The costs of a model."""
    sizes = matrices(instrument)
    return Cost(
        shape=instrument.shape,
        row=sum(taken * given for taken, given in sizes),
        widths=sum(given for _, given in sizes),
        itemsize=instrument.model.dtype.itemsize,
        whole_model=needs_whole_model(instrument),
        device=instrument.resolved.device,
    )


def needs_whole_model(instrument: Instrument) -> bool:
    """Whether every experiment must be a pass of the whole model, because its layers cannot be called on some rows.

    With LLM.int8 a row's numbers depend on the other rows of the batch, which share its outlier columns. And of some
    models of unknown architecture the self-check found that a layer cannot be called alone.
    """
    return instrument.resolved.quantization == "8bit" or not instrument.family.layer_by_layer


def matrices(instrument: Instrument) -> list[tuple[int, int]]:
    """Input and output size of each matrix of the first layer. Of a layer's experts it has those that one row uses."""
    layer = instrument.family.layers(instrument.model)[0]
    sizes: list[tuple[int, int]] = []
    for module in layer.modules():
        if isinstance(module, nn.Linear):
            sizes.append((module.in_features, module.out_features))
        elif isinstance(module, Conv1D):
            sizes.append((module.nx, module.nf))
        experts = [own for own in module.parameters(recurse=False) if own.dim() == 3]
        used = getattr(instrument.model.config, "num_experts_per_tok", 1)
        sizes.extend((own.shape[2], own.shape[1]) for own in experts for _ in range(used))
    return sizes
