"""How many rows one call of a layer takes."""

import math
from dataclasses import dataclass

from backend.contract.errors import ResourceError, shown
from backend.engine.products import kernel_rows


@dataclass
class RowLimit:
    """The most rows of one call; halved when memory runs out, for the rest of the sweep."""

    rows: int

    def share(self, rows: int) -> int:
        """How many of `rows` rows to take next: about two thirds of the limit, so that no small batch remains.

        >>> [RowLimit(900).share(rows) for rows in (100, 900, 1000, 1300)]
        [112, 480, 512, 704]
        >>> RowLimit(900).share(880)
        896
        """
        even = math.ceil(rows / max(math.ceil(rows / self.rows), round(1.5 * rows / self.rows)))
        return min(kernel_rows(even), self.rows)

    def halve(self, rows: int, experiments: int) -> None:
        """Halve the limit after a batch of `rows` rows did not fit into memory.

        Raises ResourceError if the batch was one experiment, which cannot be split.
        """
        if experiments == 1:
            raise ResourceError(
                f"Not enough memory for patching: the {shown(rows)} rows of one cell do not fit. "
                "Close other programs, or take a shorter prompt."
            )
        self.rows = max(1, min(self.rows, rows) // 2)
