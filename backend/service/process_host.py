"""A host in a process of its own. The page's threads never wait for its Python, and the page survives its end."""

import atexit
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from backend.service.frames import encode, receive
from backend.service.host import Hear
from backend.service.messages import Beat, Died, FromHost, ToHost

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
# A host that runs sends a message at least every two seconds.
SILENCE_SECONDS = 30.0


class ProcessHost:
    """See `Host`. The process starts when it is first needed, and again after it died."""

    def __init__(self, results: Path) -> None:
        """`results`: the folder of the store that it writes into."""
        self._results = results
        self._lock = threading.Lock()
        self._subprocess: _Subprocess | None = None
        self._closed = False
        self._hear: Hear = lambda message: None
        atexit.register(self.close)

    def listen(self, hear: Hear) -> None:
        self._hear = hear

    def start(self) -> None:
        self._living()

    def send(self, message: ToHost) -> None:
        if (started := self._living()) is not None:
            started.send(message)

    def kill(self, why: str) -> None:
        with self._lock:
            started = self._subprocess
        if started is not None:
            started.kill(why)

    def close(self) -> None:
        with self._lock:
            self._closed, started, self._subprocess = True, self._subprocess, None
        if started is not None:
            started.kill("it was closed")
            started.process.wait()
        atexit.unregister(self.close)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        with self._lock:
            return None if self._subprocess is None else self._subprocess.process.pid

    def _living(self) -> "_Subprocess | None":
        with self._lock:
            if self._subprocess is None and not self._closed:
                self._subprocess = _Subprocess(self._results, self._say, self._ended)
            return self._subprocess

    def _say(self, message: FromHost) -> None:
        self._hear(message)

    def _ended(self, started: "_Subprocess", why: str) -> None:
        with self._lock:
            if self._subprocess is not started:
                return
            self._subprocess = None
        self._hear(Died(why))


class _Subprocess:
    """One process, and the two threads that exchange messages with it."""

    def __init__(self, results: Path, say: Hear, ended: Callable[["_Subprocess", str], None]) -> None:
        self._say = say
        self._ended = ended
        self._why = ""
        self._outgoing: queue.SimpleQueue[ToHost | None] = queue.SimpleQueue()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(SILENCE_SECONDS)
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend.service.host_process", str(number), str(results)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the command line prints its answer on ours
                pass_fds=[number],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,  # Ctrl-C in our terminal does not reach it
            )
        for work in (self._read, self._write):
            threading.Thread(target=work, name=f"host{work.__name__}", daemon=True).start()

    def send(self, message: ToHost) -> None:
        """Returns at once, also where the process does not read."""
        self._outgoing.put(message)

    def kill(self, why: str) -> None:
        """End it and the processes that it started. The reading thread then calls `ended`."""
        self._why = self._why or why
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.kill()

    def _read(self) -> None:
        try:
            while (message := receive(self._socket)) is not None:
                if not isinstance(message, Beat):
                    self._say(message)  # type: ignore[arg-type]
        except TimeoutError:
            self.kill(f"it said nothing for {SILENCE_SECONDS:.0f} s")
        except OSError:
            self.kill("its connection broke")
        except Exception:  # whatever it was: without this thread nobody would hear how its jobs end
            log.exception("A message of the model's process could not be used")
            self.kill("it sent what could not be used")
        status = self.process.wait()
        self._outgoing.put(None)
        self._socket.close()
        self._ended(self, self._why or _reason(status))

    def _write(self) -> None:
        while (message := self._outgoing.get()) is not None:
            try:
                self._socket.sendall(encode(message))
            except TimeoutError:  # a part was sent, so what follows would not be understood
                self.kill(f"it took no message for {SILENCE_SECONDS:.0f} s")
            except OSError:  # it died: the reading thread finds out
                pass


def _reason(status: int) -> str:
    if status == -signal.SIGKILL:
        return "the system killed it, as it does when memory runs out"
    if status < 0:
        return f"it was ended by signal {signal.Signals(-status).name}"
    return f"it ended with status {status}"
