"""The heads that a request names, as far as the model has them."""

from backend.contract.analysis import several_heads
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.request import Request
from backend.engine.instrument import Instrument


def chosen_head(instrument: Instrument, request: Request) -> HeadRef | None:
    """The head named in params, if any. Raises RequestError where the model has no such head."""
    if "head" not in request.params:
        return None
    return _existing(instrument, HeadRef.from_json(request.params["head"]))


def chosen_heads(instrument: Instrument, request: Request) -> tuple[HeadRef, ...]:
    """The heads named in params, from the lowest layer up: one `head` or several `heads`. Raises RequestError."""
    if "heads" not in request.params:
        head = chosen_head(instrument, request)
        return () if head is None else (head,)
    found = sorted(several_heads(request), key=lambda head: (head.layer, head.head))
    return tuple(_existing(instrument, head) for head in found)


def _existing(instrument: Instrument, head: HeadRef) -> HeadRef:
    shape = instrument.shape
    if head.layer >= shape.layers or head.head >= shape.heads:
        raise RequestError(
            f"There is no head {head}: {instrument.resolved.name} has layers 0 to {shape.layers - 1} "
            f"and heads 0 to {shape.heads - 1}."
        )
    return head
