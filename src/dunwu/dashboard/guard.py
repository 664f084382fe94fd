"""What stands between the dashboard and the rest of the world: which hosts it answers to, and what its pages may load.

A page of another site can point its own name at 127.0.0.1 (DNS rebinding); the Host header gives it away. Scripts and styles come
from this server alone, so that text of a completion that reached the page as markup would still do nothing. Used by `app`.
"""

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dunwu.dashboard.replies import error_reply

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware: refuses other hosts, other sites' requests and other methods than reading; adds the headers.

    Args:
        hosts: names it answers to, beside loopback.
        any_address: also answer to any IP address as a host, for a server that listens on all of them: only a name can be
            pointed somewhere else.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), any_address: bool = False) -> None:
        self.app = app
        self.hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        name = host_name(headers.get("host", ""))
        if not (name in self.hosts or (self.any_address and is_address(name))):
            answer = error_reply(
                421,
                f"this dashboard does not answer to the host {name!r}; open it as http://localhost, or start it with --host",
            )
        elif headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            answer = error_reply(403, "another site asked; the dashboard answers to its own pages only")
        elif scope["method"] not in ("GET", "HEAD"):
            answer = error_reply(405, "the dashboard only reads; use GET")
        else:
            await self.app(scope, receive, send_guarded)
            return
        await answer(scope, receive, send_guarded)


def host_name(header: str) -> str:
    """Return the name in a Host header, without the port: "[::1]:8000" -> "::1"."""
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header


def is_address(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
