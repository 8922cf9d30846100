"""Results made up from their requests, with every array that the pages read."""

import hashlib

import numpy as np

from backend.contract.request import Request
from backend.contract.result import Array, Result
from tests.app.made_up.heads import OF_HEADS
from tests.app.made_up.nodes import OF_NODES
from tests.app.made_up.parts import BANK, HEADS, LAYERS

__all__ = ["BANK", "HEADS", "LAYERS", "made_up"]

MAKERS = {**OF_NODES, **OF_HEADS}


def made_up(request: Request) -> Result:
    """A result with every array the contract names, the same for the same request."""
    seed = int.from_bytes(hashlib.sha256(request.canonical().encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    arrays, ticks, scalars = MAKERS[request.analysis](request, generator)
    return Result(
        request=request.to_json(),
        arrays={
            name: Array(np.asarray(values, np.float32), axes, "logits")
            for name, (values, axes) in arrays.items()
        },
        ticks=ticks,
        scalars=scalars,
        checks={"identity_error": (3e-6, 1e-3)},
        model={
            "name": request.model.name,
            "dtype": "float32" if request.model.dtype == "auto" else request.model.dtype,
            "quantization": request.model.quantization,
            "fingerprint": "0123456789abcdef",
        },
        seconds=0.25,
    )
