"""Makes files that are damaged, lie or mean harm, always the same ones for a seed."""

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np

HUGE = (-1, 0, 2**31, 10**9, 10**18, 1e308, float("nan"), None, "", "..", [], {}, [[]] * 9, True)
MEGABYTE = bytes(2**20)


def mutated(rng, content):
    """The bytes with some flipped, cut off, moved, repeated, or overwritten by a lie."""
    content, place = bytearray(content), int(rng.integers(len(content)))
    length = int(rng.integers(1, 64))
    match rng.integers(6):
        case 0:
            for i in rng.integers(len(content), size=length):
                content[i] ^= 1 << int(rng.integers(8))
        case 1:
            del content[place:]
        case 2:
            del content[place : place + length]
        case 3:
            start = int(rng.integers(len(content)))
            content[place:place] = content[start : start + length]
        case 4:
            start = int(rng.integers(min(100, len(content))))  # headers stand at the beginning
            content[start : start + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b""])
        case 5:
            content[place : place + length] = rng.bytes(length)
    return bytes(content)


def changed(rng, tree):
    """JSON with one value, anywhere in it, of another kind or size."""
    tree = json.loads(json.dumps(tree))
    places = [(at, key) for at in _containers(tree) for key in (at if isinstance(at, dict) else
              range(len(at)))]  # fmt: skip
    at, key = places[rng.integers(len(places))]
    at[key] = HUGE[rng.integers(len(HUGE))]
    return tree


def _containers(tree):
    if isinstance(tree, dict | list):
        yield tree
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(part)


def zipped(members, **options):
    """A zip of names and their bytes, or of a number of megabytes of zeros."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1, **options) as file:
        for name, member in members.items():
            with file.open(name, "w", force_zip64=True) as part:
                for piece in [MEGABYTE] * member if isinstance(member, int) else [member]:
                    part.write(piece)
    return content.getvalue()


def gz_bomb(start=b"", megabytes=10_000, wbits=31):
    """Gzip, or zlib, of some bytes and then zeros, ten gigabytes of them in ten megabytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = deflate.compress(start) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(MEGABYTE) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes


def npy(shape, descr="|u1", content=bytes(100)):
    """An .npy file whose header says what it likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + content


def npy_of(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def idx(shape, code=8, content=b""):
    """An IDX file whose header says what it likes."""
    sides = b"".join(int(side).to_bytes(4, "big") for side in shape)
    return bytes([0, 0, code, len(shape)]) + sides + content


class Harm:
    """Leaves a file where something unpickles it."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def nielsen(images, labels):
    """M. Nielsen's pickle of three sets, not compressed."""
    part = (images.reshape(-1, 784) / np.float32(256), labels.astype(np.int64))
    return pickle.dumps([part] * 3, protocol=2 + 1).replace(b"numpy._core", b"numpy.core")


def pickles(mark):
    """Pickles that run something, ask for much, or hold something else."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n"
    yield from (pickle.dumps(Harm(mark)), pickle.dumps([(Harm(mark), Harm(mark))] * 3))
    yield b"\x80\x02]r\xff\xff\xff\x7f."  # a memo of two billion entries
    yield b"\x80\x02cnumpy\nndarray\n(I100000000000\ntR."
    yield b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR."
    yield b"cbuiltins\neval\n(S'1'\ntR."
    yield array + b"(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I10\ntcnumpy\ndtype\n(S'O8'\ntRtb."
    yield b"(" * 100_000 + b"."
    yield b"]" * 100_000 + b"a" * 99_999 + b"."
    yield b"]" * 20_000_000 + b"."
    yield _dtype_of_lists(24)
    yield b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f."
    yield from (pickle.dumps(it) for it in (None, [], [1, 2, 3], {"a": 1}, "text", [([], [])] * 3))


def _dtype_of_lists(depth):
    """A dtype that is named by a list of two lists, each of them of two, and so on."""
    twice = b"".join(b"](h%ch%ceq%c0" % (i, i, i + 1) for i in range(depth))
    return b"\x80\x02](K\x01eq\x000" + twice + b"cnumpy\ndtype\nh%c\x85R." % depth


def gzipped(contents):
    return [gzip.compress(content, 1) for content in contents]
