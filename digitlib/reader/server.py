"""Serving the app: from the command line or a notebook, to this machine or its network."""

import socket
import threading
from contextlib import suppress

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from digitlib.reader.app import create_app

CONNECTIONS = 256  # where more than that are busy, others get 503
HEAD_BYTES = 16_384  # of a request's headers
AT_ONCE = 4_096  # bytes of a connection, before others have their turn
STALLED = 15  # seconds after which who takes nothing of an answer is sent away
FAREWELL = 1  # seconds for what is being read when the server is to stop


class _Connection(H11Protocol):
    """One that gives its place to a newer one, where none is left and it is silent the longest.

    Where all have asked and wait for an answer, uvicorn sends the newer one 503.
    """

    def connection_made(self, transport):
        others = [one for one in self.connections if not one.transport.is_closing()]
        silent = [one for one in others if not one.cycle or one.cycle.response_complete]
        super().connection_made(transport)
        transport.max_size = AT_ONCE
        self.since = self.loop.time()
        if silent and len(others) >= CONNECTIONS - 1:
            min(silent, key=lambda one: one.since).transport.abort()

    def pause_writing(self):
        super().pause_writing()
        self.stalled = self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self):
        super().resume_writing()
        self.stalled.cancel()

    def on_response_complete(self):
        super().on_response_complete()
        self.since = self.loop.time()


def serve(host, port):
    """Serve the app until Ctrl+C."""
    listener = _listen(host, port)
    print(f"Write a number at {_address(listener)} (Ctrl+C ends it)", flush=True)
    with suppress(KeyboardInterrupt):
        _server(host).run(sockets=[listener])


def start_app():
    """Serve the app to this machine from a thread, for a notebook; gives its address."""
    listener = _listen("127.0.0.1", 0)
    threading.Thread(target=_server().run, args=[[listener]], daemon=True).start()
    return _address(listener)


def _server(host="127.0.0.1"):
    return uvicorn.Server(
        uvicorn.Config(
            create_app(host),
            http=_Connection,
            ws="none",
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_graceful_shutdown=FAREWELL,
            access_log=False,
            log_level="error",
            server_header=False,
        )
    )


def _listen(host, port):
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        message = f"cannot listen on {host}, port {port} ({error}); name another --host or --port"
        raise OSError(message) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait for 40 ms
    return listener


def _address(listener):
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = _own_address(listener.family)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _own_address(family):
    """The address at which this machine's network reaches it."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # of UDP, so nothing is sent
        try:
            probe.connect(("192.0.2.1" if family == socket.AF_INET else "2001:db8::1", 9))
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
