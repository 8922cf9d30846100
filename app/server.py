"""What the dashboard's server accepts before any page runs: its address, the hosts it answers to, its headers.

A page of another site can make a browser ask this server under the site's own name (DNS rebinding). So a request whose
Host is not one of ours is refused, over HTTP and over the WebSocket. There is no login: whoever can reach the server
can use it. So it binds to an address that others reach only where something in front of it protects it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.contract.errors import LetterheadsError, RequestError, shown

LOOPBACK = ("localhost", "127.0.0.1", "::1")
BEHIND_PROXY = "LETTERHEADS_BEHIND_PROXY"
ALLOWED_HOSTS = "LETTERHEADS_ALLOWED_HOSTS"
MODELS = "LETTERHEADS_MODELS"
HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "frame-ancestors 'self'"}


class SecurityHeaders:
    """Adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def allowed_hosts() -> list[str]:
    """The names under which this server answers: loopback's, and those of LETTERHEADS_ALLOWED_HOSTS."""
    more = os.environ.get(ALLOWED_HOSTS, "")
    return [*LOOPBACK, "[::1]", *(name.strip() for name in more.split(",") if name.strip())]


def check_address(address: str) -> None:
    """Refuse to serve others without protection, or under names that nobody said.

    Raises RequestError.
    """
    if address in LOOPBACK:
        return
    if os.environ.get(BEHIND_PROXY) != "1":
        raise RequestError(
            f"The address {shown(address)} can be reached from other machines, and the dashboard has no login. Use "
            f"localhost, or set {BEHIND_PROXY}=1 where a proxy with a login stands in front of it."
        )
    if not os.environ.get(ALLOWED_HOSTS):
        raise RequestError(
            f"Behind a proxy the dashboard must know under which names it is asked. Set {ALLOWED_HOSTS}, for example "
            f"{ALLOWED_HOSTS}=letterheads.example.org (several with commas between)."
        )


def settings(address: str, port: int) -> dict[str, Any]:
    """Streamlit's options for a server at this address."""
    return {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.allowedHosts": allowed_hosts(),
    }


def main(run: Callable[..., None], arguments: Sequence[str]) -> int:
    """Serve until stopped; `run` is that of `st.App`. Exit status 2 for an address that is refused."""
    parser = argparse.ArgumentParser(prog="python serve.py", description="Serve the dashboard.")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--address", default="localhost")
    options = parser.parse_args(arguments)
    try:
        check_address(options.address)
    except LetterheadsError as error:
        print(f"letterheads: {error}", file=sys.stderr)
        return 2
    if options.address not in LOOPBACK:
        # Others are offered the catalogue and what is listed here, never the files of this machine.
        os.environ.setdefault(MODELS, "")
    run(config=settings(options.address, options.port))
    return 0


MIDDLEWARE = (
    Middleware(SecurityHeaders),
    Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(), www_redirect=False),
)
