"""A block of one run's residual stream that is put into another run."""

import re
from dataclasses import dataclass
from typing import Any

from backend.contract.errors import RequestError, shown
from backend.contract.fields import fields_of

RUNS = ("clean", "corrupted")
EMBEDDING = -1
"""What stands for the embedding where a layer is named after which the stream is taken."""
MOST = 10**6


@dataclass(frozen=True, order=True)
class StreamPatch:
    """The residual stream after some layers, at some positions.

    Attributes:
        source: the run that it comes from, `clean` or `corrupted`; it is put into the other one.
        layers: the first and the last layer after which it is taken; -1 is the embedding.
        positions: the first and the last position, in the prompt that it comes from.
    """

    source: str
    layers: tuple[int, int]
    positions: tuple[int, int]

    def __post_init__(self) -> None:
        if self.source not in RUNS:
            raise RequestError(
                f"A patch comes from one of the runs {', '.join(RUNS)}, not {shown(self.source)}."
            )
        for name, (first, last), least in (("layers", self.layers, -1), ("positions", self.positions, 0)):
            if not least <= first <= last <= MOST:
                raise RequestError(
                    f"A patch's {name} are a first and a last one, counted from {least}, not {shown([first, last])}."
                )

    def __str__(self) -> str:
        return f"{self.source}:{self.layers[0]}..{self.layers[1]}:{self.positions[0]}..{self.positions[1]}"

    @property
    def target(self) -> str:
        """The run that it is put into.

        >>> StreamPatch("clean", (3, 3), (7, 7)).target
        'corrupted'
        """
        return RUNS[1 - RUNS.index(self.source)]

    @classmethod
    def parse(cls, text: str) -> "StreamPatch":
        """Read `clean:3..5:20..22`, what `str` gives. Raises RequestError.

        >>> StreamPatch.parse("clean:-1..5:20..22")
        StreamPatch(source='clean', layers=(-1, 5), positions=(20, 22))
        """
        number = "(-1|[0-9]{1,7})"
        found = re.fullmatch(rf"([a-z]{{1,9}}):{number}\.\.{number}:{number}\.\.{number}", text.strip())
        if found is None:
            raise RequestError(f"A patch is written like clean:3..5:20..22, not {shown(text)}.")
        a, b, c, d = (int(part) for part in found.groups()[1:])
        return cls(found[1], (a, b), (c, d))

    @classmethod
    def from_json(cls, data: object) -> "StreamPatch":
        """Read `{"from": "clean", "layers": [3, 5], "positions": [20, 22]}`. Raises RequestError."""
        fields = fields_of("A patch", data, ("from", "layers", "positions"))
        for name in ("from", "layers", "positions"):
            if name not in fields:
                raise RequestError(f"A patch needs {name}: {shown(data)}.")
        source = fields["from"]
        if not isinstance(source, str):
            raise RequestError(f"A patch comes from one of the runs {', '.join(RUNS)}, not {shown(source)}.")
        return cls(source, _ends("layers", fields["layers"]), _ends("positions", fields["positions"]))

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values."""
        return {"from": self.source, "layers": list(self.layers), "positions": list(self.positions)}


def _ends(name: str, data: object) -> tuple[int, int]:
    if not isinstance(data, list) or len(data) != 2 or any(type(one) is not int for one in data):
        raise RequestError(
            f"A patch's {name} are a list of the first and the last one, as in [3, 5], not {shown(data)}."
        )
    return data[0], data[1]
