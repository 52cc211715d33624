"""The web app: draw or drop a picture and watch it being read; POST /api/predict for programs."""

import asyncio
import re
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from digitlib.reader.bounds import Readers
from digitlib.reader.ink import PictureError
from digitlib.reader.reading import read_picture
from digitlib.reader.strokes import read_drawing

MAX_BYTES = 20_000_000  # of a picture's file
SMALL_BYTES = 500_000  # any drawing; larger bodies take turns, so that they cannot fill the memory
LARGE_AT_ONCE = 16  # bodies of more than SMALL_BYTES held in memory
BODY_TIMEOUT = 15  # seconds in which a body must have arrived
WAIT = 60  # seconds, besides, for which a large one may wait until others are read
READERS = 2  # pictures read at the same time; one drawing beside them does not wait for pictures

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


def create_app(host="127.0.0.1"):
    """The ASGI application; it answers at IP addresses, this machine's name, and `host`."""
    readers = {read_picture: Readers(READERS), read_drawing: Readers(1)}
    large = asyncio.Semaphore(LARGE_AT_ONCE)
    name = socket.gethostname().lower()
    names = {"localhost", name, f"{name}.local", host.lower()}

    async def predict(request):
        _check_sender(request.headers, names)
        if "transfer-encoding" in request.headers:  # each of its chunks costs, however small
            message = "A picture is taken whole: send its Content-Length, not Transfer-Encoding"
            raise HTTPException(411, message, {"Connection": "close"})
        kind = request.headers.get("content-type", "").partition(";")[0]
        is_drawing = kind.strip().lower() == "application/json"
        read = read_drawing if is_drawing else read_picture
        async with AsyncExitStack() as places:
            try:
                body = await _receive(request, large, places)
                content = await readers[read](read, body, request.is_disconnected)
            except PictureError as error:
                raise HTTPException(422, str(error)) from error
            except asyncio.CancelledError as error:
                raise HTTPException(503, "The server stops: send it again later") from error
        return JSONResponse(content, headers=HEADERS)

    @asynccontextmanager
    async def life(app):
        yield
        for several in readers.values():
            several.stop()

    routes = [Route(f"/{name.removeprefix('index.html')}", _file(name)) for name in PAGE]
    routes.append(Route("/api/predict", predict, methods=["POST"]))
    handlers = {HTTPException: _refuse, ClientDisconnect: _gone}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=life)
    app.router.redirect_slashes = False  # or it names the host that was asked for, whatever it is
    return app


def _check_sender(headers, names):
    """HTTPException where a page of another site sends the request, whatever its name points to."""
    host, origin = headers.get("host", "localhost"), headers.get("origin")
    site = headers.get("sec-fetch-site")
    own_origin = origin in (None, f"http://{host}", f"https://{host}")
    is_own_page = site in ("same-origin", "none") if site else own_origin
    name = re.sub(r":\d*$", "", host).strip("[]").lower()
    with suppress(ValueError):
        names = {*names, str(ip_address(name))}
    if not is_own_page or name not in names:
        message = "Only pages of this server may ask: open / by its address and send it from there"
        raise HTTPException(403, message)


def _file(name):
    path = Path(__file__).with_name("page") / name
    content, media_type = path.read_bytes(), PAGE[name]

    async def send(request):
        return Response(content, media_type=media_type, headers=HEADERS)

    return send


async def _receive(request, large, places):
    """The body of a request; HTTPException where it is empty, too long or too slow.

    One that proves large waits for `large` before it goes on, and `places` hold it from then on.
    """
    body, too_long = bytearray(), False
    try:
        async with asyncio.timeout(BODY_TIMEOUT) as limit:
            async for chunk in request.stream():
                if len(body) <= SMALL_BYTES < len(body) + len(chunk):
                    await _enter(large, places, limit)
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


async def _enter(large, places, limit):
    """Wait for a place, while the time in which the body must have arrived stands still."""
    clock = asyncio.get_running_loop().time
    left = limit.when() - clock()
    limit.reschedule(None)
    try:
        async with asyncio.timeout(WAIT):
            await places.enter_async_context(large)
    except TimeoutError as error:
        message = "The server is busy with other large pictures: send a smaller one, or wait"
        raise HTTPException(503, message, {"Connection": "close"}) from error
    limit.reschedule(clock() + left)


async def _refuse(request, error):
    lost = error.status_code in (404, 405)
    sentence = "POST a picture to /api/predict, or open / in a browser" if lost else error.detail
    headers = HEADERS | (error.headers or {})
    return JSONResponse({"error": sentence}, error.status_code, headers)


async def _gone(request, error):
    return Response(status_code=400)  # nobody is left to read it
