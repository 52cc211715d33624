"""The web app: draw or drop a picture and watch it being read; POST /api/predict for programs."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digitlib.reader.ink import PictureError
from digitlib.reader.network import load_network
from digitlib.reader.reading import read_picture
from digitlib.reader.strokes import read_drawing

MAX_BYTES = 20_000_000  # of a picture's file
SMALL_BYTES = 500_000  # any drawing; larger bodies take turns, so that they cannot fill the memory
LARGE_AT_ONCE = 16  # bodies of more than SMALL_BYTES, or of unknown length, held in memory
CONNECTIONS = 256  # more get 503
BODY_TIMEOUT = 15  # seconds in which a body must have arrived
READERS = 2  # pictures decoded and read at the same time

PAGE = {
    "index.html": "text/html",
    "app.js": "text/javascript",
    "npz.js": "text/javascript",
    "style.css": "text/css",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def create_app():
    """The ASGI application."""
    load_network()  # the first visitor does not wait for the weights
    pool = ThreadPoolExecutor(READERS)
    large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def predict(request):
        is_drawing = request.headers.get("content-type") == "application/json"
        read = read_drawing if is_drawing else read_picture
        announced = int(request.headers.get("content-length", MAX_BYTES))
        async with large if announced > SMALL_BYTES else nullcontext():
            body = await _receive(request)
            try:
                content = await asyncio.get_running_loop().run_in_executor(pool, read, body)
            except PictureError as error:
                raise HTTPException(422, str(error)) from error
        return JSONResponse(content, headers=HEADERS)

    routes = [Route(f"/{name.removeprefix('index.html')}", _file(name)) for name in PAGE]
    routes.append(Route("/api/predict", predict, methods=["POST"]))
    return Starlette(
        routes=routes,
        exception_handlers={HTTPException: _refuse, ClientDisconnect: _gone},
    )


def _file(name):
    path = Path(__file__).with_name("page") / name
    content, media_type = path.read_bytes(), PAGE[name]

    async def send(request):
        return Response(content, media_type=media_type, headers=HEADERS)

    return send


async def _receive(request):
    """The body of a request; HTTPException where it is empty, too long or too slow."""
    body, too_long = bytearray(), False
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                too_long = too_long or len(body) + len(chunk) > MAX_BYTES
                if too_long:  # reads on, or the sender would not get to hear the answer
                    body.clear()
                body += b"" if too_long else chunk
    except TimeoutError as error:
        if not too_long:
            message = f"The picture did not arrive within {BODY_TIMEOUT} seconds: send it faster"
            raise HTTPException(408, message, {"Connection": "close"}) from error
    if too_long:
        message = f"A picture may have {MAX_BYTES // 10**6} MB, this has more: send a smaller one"
        raise HTTPException(413, message, {"Connection": "close"})
    if not body:
        raise HTTPException(400, "The request is empty: send the bytes of a picture as its body")
    return bytes(body)


async def _refuse(request, error):
    lost = error.status_code in (404, 405)
    sentence = "POST a picture to /api/predict, or open / in a browser" if lost else error.detail
    headers = HEADERS | (error.headers or {})
    return JSONResponse({"error": sentence}, error.status_code, headers)


async def _gone(request, error):
    return Response(status_code=400)  # nobody is left to read it


def serve(host, port):
    """Serve the app until Ctrl+C."""
    listener = _listen(host, port)
    print(f"Write a number at {_address(listener)} (Ctrl+C ends it)", flush=True)
    with suppress(KeyboardInterrupt):
        _server().run(sockets=[listener])


def start_app():
    """Serve the app to this machine from a thread, for a notebook; gives its address."""
    listener = _listen("127.0.0.1", 0)
    threading.Thread(target=_server().run, args=[[listener]], daemon=True).start()
    return _address(listener)


def _server():
    return uvicorn.Server(
        uvicorn.Config(
            create_app(),
            limit_concurrency=CONNECTIONS,
            access_log=False,
            log_level="warning",
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
