"""The heads that a request names, as far as the model has them."""

from collections.abc import Mapping
from typing import Any

from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.engine.instrument import Instrument


def chosen_head(instrument: Instrument, values: Mapping[str, Any]) -> HeadRef | None:
    """The head among the parameters, if any. Raises RequestError where the model has no such head."""
    return None if values["head"] is None else _existing(instrument, HeadRef(*values["head"]))


def chosen_heads(instrument: Instrument, values: Mapping[str, Any]) -> tuple[HeadRef, ...]:
    """One `head` or several `heads`, from the lowest layer up. Raises RequestError."""
    heads = [values["head"]] if values.get("heads") is None else values["heads"]
    return tuple(_existing(instrument, HeadRef(*head)) for head in heads)


def _existing(instrument: Instrument, head: HeadRef) -> HeadRef:
    shape = instrument.shape
    if head.layer >= shape.layers or head.head >= shape.heads:
        raise RequestError(
            f"There is no head {head}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} "
            f"and heads 0 to {shape.heads - 1}."
        )
    return head
