"""Messages as bytes: two lengths, a header in JSON, then the arrays' bytes. No pickle: nothing in it can run."""

import json
import socket
import struct
from typing import Any

import numpy as np

from backend.service import messages
from backend.service.messages import ARRAYS, Message

LENGTHS = struct.Struct("!IQ")
DTYPES = ("float32", "int64")
KINDS = {
    kind.__name__: kind
    for kind in (
        messages.Run,
        messages.Cancel,
        messages.Ask,
        messages.Progressed,
        messages.Partial,
        messages.Done,
        messages.Failed,
        messages.Loaded,
        messages.Answer,
        messages.Beat,
    )
}


def encode(message: Message) -> bytes:
    """The frame of a message. Raises TypeError for a value that JSON cannot carry, ValueError for other arrays."""
    fields = {name: value for name, value in vars(message).items() if name not in ARRAYS}
    described, blocks = [], []
    for field in ARRAYS:
        for name, values in getattr(message, field, {}).items():
            _check_dtype(str(values.dtype))
            described.append((field, name, str(values.dtype), values.shape))
            blocks.append(np.ascontiguousarray(values).tobytes())
    header = json.dumps({"kind": type(message).__name__, "fields": fields, "arrays": described}).encode()
    body = b"".join(blocks)
    return LENGTHS.pack(len(header), len(body)) + header + body


def decode(frame: bytes) -> Message:
    """The message of a whole frame. Raises ValueError where it is none."""
    header_bytes, _ = LENGTHS.unpack_from(frame)
    start = LENGTHS.size + header_bytes
    return _message(frame[LENGTHS.size : start], frame[start:])


def receive(stream: socket.socket) -> Message | None:
    """The next message, None where the other side is gone. Raises OSError, TimeoutError."""
    lengths = _exactly(stream, LENGTHS.size)
    if lengths is None:
        return None
    header_bytes, body_bytes = LENGTHS.unpack(lengths)
    header, body = _exactly(stream, header_bytes), _exactly(stream, body_bytes)
    return None if header is None or body is None else _message(header, body)


def _exactly(stream: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = stream.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _message(header: bytes, body: bytes) -> Message:
    sent = json.loads(header)
    kind: type[Any] = KINDS[sent["kind"]]
    arrays: dict[str, dict[str, Any]] = {name: {} for name in ARRAYS if name in kind.__dataclass_fields__}
    start = 0
    for field, name, dtype, shape in sent["arrays"]:
        _check_dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(body, dtype, count, start).reshape(shape)
        arrays[field][name] = values
        start += values.nbytes
    found: Message = kind(**sent["fields"], **arrays)
    return found


def _check_dtype(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"An array of {dtype} cannot be sent.")
