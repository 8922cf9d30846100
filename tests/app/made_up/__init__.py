"""Results made up from their requests, with every array that the pages read."""

import hashlib
from dataclasses import replace

import numpy as np

from backend.contract.request import Request
from backend.contract.result import Array, Result
from tests.app.made_up.heads import OF_HEADS
from tests.app.made_up.lenses import OF_LENS
from tests.app.made_up.nodes import OF_NODES
from tests.app.made_up.parts import BANK, HEADS, LAYERS, SIZES, Arrays
from tests.app.made_up.turned import turned
from tests.specs import declared, differences, needed

__all__ = ["BANK", "HEADS", "LAYERS", "made_up"]

MAKERS = {**OF_NODES, **OF_HEADS, **OF_LENS, "turn": turned}


def made_up(request: Request) -> Result:
    """A result with every array the contract names, the same for the same request."""
    # Which option is right changes nothing that the model does.
    asked = (
        request
        if request.question is None
        else replace(request, question=replace(request.question, answer=None))
    )
    seed = int.from_bytes(hashlib.sha256(asked.canonical().encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    made, ticks, scalars = MAKERS[request.analysis](request, generator)
    arrays = _whole(request, made, generator)
    unmet = differences(request, arrays, scalars)
    assert not unmet, f"{request.analysis} is made up otherwise than declared: {unmet}"
    return Result(
        request=request.to_json(),
        arrays=arrays,
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


def _whole(request: Request, made: Arrays, generator: np.random.Generator) -> dict[str, Array]:
    """The arrays made, with the units that are declared; those that no page test needs are drawn at random."""
    sizes: dict[str, int] = {"draw": 3, "expert": 2, **SIZES}
    for values, axes in made.values():
        sizes = dict(zip(axes, np.shape(values), strict=True)) | sizes
    whole: dict[str, Array] = {}
    always = needed(request)
    for name, (axes, unit) in declared(request).items():
        if name in made:
            values, own = made[name]
            whole[name] = Array(np.asarray(values, np.float32), own, unit)
        elif name in always:
            drawn = generator.normal(size=[sizes.get(axis, 3) for axis in axes])
            whole[name] = Array(np.asarray(drawn, np.float32), axes, unit)
    undeclared = made.keys() - whole.keys()
    assert not undeclared, f"{request.analysis} does not declare {sorted(undeclared)}"
    return whole
