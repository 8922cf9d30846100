"""Whether a model is left as it was."""

from backend.engine.instrument import Instrument


def count_hooks(instrument: Instrument) -> int:
    """The hooks at all of the model's modules."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in instrument.model.modules())
