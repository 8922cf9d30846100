"""Parquet. No code of the file is run; what pyarrow makes of it is rows of plain values."""

import io

from backend.contract.errors import QuestionError, shown
from backend.questions.formats.table import Row, Table, check_columns

MAX_ROWS = 200_000
MAX_BYTES_UNPACKED = 500 * 10**6


def parquet_table(data: bytes) -> Table:
    """The table of a parquet file. Raises QuestionError where it is damaged or too large once unpacked."""
    # Here and not above: it takes half a second to import and most sessions never need it.
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        _check_size(file.metadata)
        table = file.read()
        rows = table.to_pylist()
    except (OSError, ValueError, ArithmeticError, pyarrow.ArrowException) as error:
        raise QuestionError(
            f"This is not a parquet file that can be read ({shown(str(error), 200)})."
        ) from error
    names = tuple(str(name) for name in table.column_names)
    check_columns(names)
    return Table(names, tuple(Row(f"Row {number}", row) for number, row in enumerate(rows, start=1)))


def _check_size(metadata: object) -> None:
    rows = metadata.num_rows  # type: ignore[attr-defined]
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]  # type: ignore[attr-defined]
    unpacked = sum(group.total_byte_size for group in groups)
    if rows > MAX_ROWS or unpacked > MAX_BYTES_UNPACKED:
        raise QuestionError(
            f"The file has {rows:,} rows and {unpacked / 1e6:,.0f} MB; at most {MAX_ROWS:,} rows and "
            f"{MAX_BYTES_UNPACKED / 1e6:,.0f} MB are read. Use a part of it."
        )
