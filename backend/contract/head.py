"""The name of one attention head."""

import re
from dataclasses import dataclass

from backend.contract.errors import RequestError, shown


@dataclass(frozen=True)
class HeadRef:
    """One attention head, printed `L16H7`; layer and head count from 0."""

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"

    @classmethod
    def parse(cls, text: str) -> "HeadRef":
        """Read `L16H7` (any case). Raises RequestError.

        >>> HeadRef.parse("L16H7")
        HeadRef(layer=16, head=7)
        """
        written = re.fullmatch(r"L([0-9]{1,9})H([0-9]{1,9})", text.strip().upper())
        if written is None:
            raise RequestError(f"A head is written like L16H7, not {shown(text)}.")
        return cls(int(written[1]), int(written[2]))

    @classmethod
    def from_json(cls, data: object) -> "HeadRef":
        """Read `[16, 7]` or `"L16H7"`. Raises RequestError."""
        if isinstance(data, str):
            return cls.parse(data)
        match data:
            case [int(layer), int(head)] if (
                layer >= 0 and head >= 0 and bool not in (type(layer), type(head))
            ):
                return cls(layer, head)
        raise RequestError(f"params.head must be [layer, head], as in [16, 7], not {shown(data)}.")
