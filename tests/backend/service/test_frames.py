"""Messages and partial results arrive as they were sent."""

import socket
import threading

import numpy as np
import pytest

from backend.contract.result import Array, Result
from backend.service.changes import applied, changed, description, rebuilt
from backend.service.frames import decode, encode, receive
from backend.service.messages import Ask, Done, Failed, Message, Partial, Run

NAN = float("nan")


def result(values: list[float], **scalars: object) -> Result:
    return Result(
        request={"analysis": "x"},
        arrays={"values": Array(np.array(values, np.float32).reshape(2, -1), ("layer", "cell"), "logits")},
        ticks={"layer": ("0", "1")},
        scalars=scalars,
        checks={"error": (0.1, 0.5)},
        seconds=1.5,
    )


@pytest.mark.parametrize(
    "message",
    [
        Run("1", {"analysis": "x", "n": NAN}, ({"stem": "Why?"},), (), True),
        Ask(3, "shape", {"name": "x"}),
        Failed("1", "ModelError", "It’s “broken”\n"),
        Partial("1", 0.5, None, {}, {"a": np.array([1, 2])}, {"a": np.array([0.5, NAN], np.float32)}),
        Done("1", "k", 1.0, {"arrays": {}}, {"a": np.zeros((2, 0, 3), np.float32)}),
    ],
)
def test_a_frame_brings_back_the_message(message: Message) -> None:
    # Not by ==, for which NaN differs from itself.
    assert encode(decode(encode(message))) == encode(message)
    assert type(decode(encode(message))) is type(message)


def test_frames_come_apart_again_in_a_stream_and_its_end_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    large = Partial("1", 0.0, None, {"a": np.arange(10**6, dtype=np.float32)}, {}, {})
    sent = encode(Ask(1, "shape", {})) + encode(large) + encode(Ask(2, "memory", {}))[:-3]

    def send() -> None:
        with theirs:
            theirs.sendall(sent)

    thread = threading.Thread(target=send)
    thread.start()
    with ours:
        assert receive(ours) == Ask(1, "shape", {})
        got = receive(ours)
        assert isinstance(got, Partial)
        assert (got.full["a"] == large.full["a"]).all()
        assert receive(ours) is None
    thread.join()


def test_arrays_of_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        encode(Partial("1", 0.0, None, {"a": np.zeros(2)}, {}, {}))
    sent = encode(Partial("1", 0.0, None, {"a": np.zeros(2, np.float32)}, {}, {}))
    with pytest.raises(ValueError, match="float16"):
        decode(sent.replace(b"float32", b"float16"))


def test_only_what_changed_is_sent_and_the_whole_is_put_together_again() -> None:
    known: Result | None = None
    steps = [
        result([NAN] * 8, best="none"),
        result([1.0, *[NAN] * 7], best="none"),
        result([1.0, NAN, -0.0, *[NAN] * 5], best="L0"),
        result([1.0, NAN, 0.0, *[NAN] * 5], best="L0"),
        result([float(n) for n in range(8)], best="L0"),
        result([float(n) for n in range(10)], best="L0"),
    ]
    before: Result | None = None
    sent = []
    for step in steps:
        news = decode(encode(changed("1", before, step)))
        assert isinstance(news, Partial)
        known = applied(known, news)
        np.testing.assert_array_equal(
            known["values"].view(np.uint32), step["values"].view(np.uint32), strict=True
        )
        assert (known.scalars, known.ticks, known.checks) == (step.scalars, step.ticks, step.checks)
        sent.append(({**news.full} != {}, sum(map(len, news.indices.values())), news.description is not None))
        before = step
    assert sent == [
        (True, 0, True),
        (False, 1, False),
        (False, 1, True),
        (False, 1, False),
        (True, 0, False),
        (True, 0, False),
    ]
    assert rebuilt(description(steps[0]), {"values": steps[0]["values"]}, 2.0).seconds == 2.0


def test_what_was_shown_before_stays_as_it_was() -> None:
    first = result([0.0] * 8)
    fresh = applied(first, changed("1", first, result([1.0, *[0.0] * 7])))
    assert first["values"].sum() == 0
    assert fresh["values"].sum() == 1
