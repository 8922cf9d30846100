"""The text of a file: its encoding is told by a mark at its beginning, by the user, or it is UTF-8."""

import codecs

from backend.contract.errors import QuestionError

# The longer mark first: that of UTF-32 begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(data: bytes, encoding: str = "") -> str:
    """The text of `data`. Raises QuestionError at a byte that its encoding does not have, with the line."""
    marked = next((name for mark, name in MARKS if data.startswith(mark)), "")
    name = marked or encoding or "utf-8"
    try:
        return data.decode(name)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QuestionError(
            f"Line {line}: the byte 0x{data[error.start]:02X} is not {name.removesuffix('-sig').upper()}. "
            "Save the file as UTF-8, or name its encoding."
        ) from error
