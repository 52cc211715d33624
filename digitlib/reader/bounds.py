"""Reading in processes of its own, so that no picture takes more time or memory than it may."""

import asyncio
import faulthandler
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from digitlib.reader.ink import PictureError
from digitlib.reader.network import load_network

SECONDS = 4  # of processor time for one picture
MEGABYTES = 300  # for one picture, beyond what the process needs without


class Readers:
    """n processes for a server's pictures, which take the next one that is idle."""

    def __init__(self, n):
        self._all = [BoundedReader() for _ in range(n)]
        self._idle = asyncio.Queue()
        for reader in self._all:
            self._idle.put_nowait(reader)

    async def __call__(self, read, body, is_gone):
        """What `read` makes of the bytes once it is their turn; None where `is_gone` says so."""
        reader = await self._idle.get()
        try:
            if await is_gone():
                return None
            return await asyncio.get_running_loop().run_in_executor(None, reader, read, body)
        finally:
            self._idle.put_nowait(reader)

    def stop(self):
        for reader in self._all:
            reader.stop()


class BoundedReader:
    """A process that reads one picture after the other; where one kills it, another is started.

    On Windows it is the seconds that pass which count, and memory has a bound on Linux only.
    """

    def __init__(self):
        self._start()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=[theirs], daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self, read, body):
        """What `read` makes of the bytes, or raises; PictureError where it takes too much."""
        try:
            self._pipe.send((read, body))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._start()
            answer = MemoryError()
        if isinstance(answer, MemoryError):
            raise PictureError(
                f"the picture takes more than {SECONDS} seconds or {MEGABYTES} MB to read: send a "
                "smaller one, or the part with the digits"
            )
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self):
        """End the process, whatever it is doing."""
        self._process.kill()


def _serve(pipe):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the server's
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where libraries of image formats complain
    load_network()
    _bound_memory()
    with suppress(EOFError):
        while True:
            pipe.send(_answer(*pipe.recv()))


def _answer(read, body):
    if sys.platform == "win32":
        faulthandler.dump_traceback_later(SECONDS, exit=True)
    else:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # whose signal ends the process
    try:
        return read(body)
    except Exception as error:
        return error
    finally:
        if sys.platform == "win32":
            faulthandler.cancel_dump_traceback_later()
        else:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _bound_memory():
    with suppress(ImportError, OSError, ValueError):  # each system has its own idea of it
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[5])
        bound = pages * resource.getpagesize() + MEGABYTES * 10**6
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
