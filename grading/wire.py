"""What crosses the pipe between the examiner and a student's process.

Towards the student's process anything may go, as pickles, because the examiner is
trusted. Back come frames of JSON and safetensors alone: nothing that is read here can
run code, whoever wrote it. A value of another kind arrives as an `Other`, its name.
"""

import json
import socket
import struct
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

# The largest answer to one case: what is more is a fault, not a reason to fill memory.
MOST_BYTES = 64 << 20
MOST_DEPTH = 40
_HEADER = struct.Struct(">QQ")  # sizes of the JSON and of the tensors


class Garbled(Exception):
    """What arrived is not what a worker sends; the message says in which way."""


class Late(Exception):
    """Nothing came in time."""


class Gone(Exception):
    """The process at the other end has ended."""


@dataclass(frozen=True)
class Other:
    """A value that does not travel: what it was, in a few words."""

    kind: str

    def __repr__(self) -> str:
        return f"<{self.kind}>"


# Values -------------------------------------------------------------------------------


def encode(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """A value as JSON, and the tensors that it names.

    >>> encode({"loss": (1.5, None)})
    (['dict', ['loss', ['list', 1.5, None]]], {})
    """
    tensors: dict[str, Tensor] = {}
    return _encode(value, tensors, 0), tensors


def _encode(value: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    """Atoms stay; what holds others is a list that begins with what it is."""

    def inside(each: Any) -> Any:
        return _encode(each, tensors, depth + 1)

    if depth > MOST_DEPTH:
        return ["other", "values in values in values"]
    if value is None or type(value) in (bool, str):
        return value
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        plain = value.detach().to_dense().cpu().as_subclass(Tensor)
        tensors[name] = plain.contiguous().clone()
        return ["tensor", name, value.requires_grad]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return inside(value.item())  # a number of numpy's
    if isinstance(value, Integral):
        return ["int", hex(int(value))] if abs(int(value)) >> 60 else int(value)
    if isinstance(value, Real):  # as JSON has neither NaN nor infinity
        return ["float", float(value).hex()] if value - value != 0 else float(value)
    if isinstance(value, bytes):
        return ["bytes", b64encode(value).decode()]
    if isinstance(value, Mapping):
        return ["dict", *([inside(k), inside(v)] for k, v in value.items())]
    if isinstance(value, list | tuple):
        return ["list", *map(inside, value)]
    if isinstance(value, set | frozenset):
        return [type(value).__name__, *map(inside, value)]
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ([field.name, inside(vars(value)[field.name])]
                 for field in fields(value) if field.name in vars(value))  # fmt: skip
        return ["record", *pairs]
    return ["other", type(value).__name__[:60]]


def decode(content: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value again; a tuple is a list, a dataclass a namespace of its fields.

    A tuple that is a key or a member of a set stays one: a list cannot be.

    Raises:
        Garbled: if it was not `encode` that wrote this.
    """
    try:
        return _decode(content, tensors)
    except Garbled:
        raise
    except Exception as error:
        raise Garbled(f"the answer cannot be read ({type(error).__name__})") from None


def _decode(content: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(content, list):
        return content
    kind, *rest = content
    match kind:
        case "tensor":
            return (
                tensors[rest[0]].requires_grad_(rest[1]).clone()
                if rest[1]
                else (tensors[rest[0]])
            )
        case "int":
            return int(rest[0], 16)
        case "float":
            return float.fromhex(rest[0])
        case "bytes":
            return b64decode(rest[0])
        case "dict":
            return {_key(k, tensors): _decode(v, tensors) for k, v in rest}
        case "list":
            return [_decode(each, tensors) for each in rest]
        case "set" | "frozenset":
            made = set if kind == "set" else frozenset
            return made(_key(each, tensors) for each in rest)
        case "record":
            return SimpleNamespace(**{str(k): _decode(v, tensors) for k, v in rest})
        case "other":
            return Other(str(rest[0])[:60])
    raise Garbled(f"nothing is called {str(kind)[:60]!r}")


def _key(content: Any, tensors: Mapping[str, Tensor]) -> Any:
    """A key of a dictionary or a member of a set, where a tuple stays a tuple."""
    if isinstance(content, list) and content[0] == "list":
        return tuple(_key(each, tensors) for each in content[1:])
    return _decode(content, tensors)


# Frames -------------------------------------------------------------------------------


def send(pipe: socket.socket, content: dict[str, Any]) -> None:
    """Send a frame from a student's process: names to values that `encode` knows."""
    tree, tensors = encode(content)
    text, packed = json.dumps(tree).encode(), save(tensors) if tensors else b""
    if len(text) + len(packed) > MOST_BYTES:
        size = len(text) + len(packed) >> 20
        said = f"the result has {size} MiB, and {MOST_BYTES >> 20} are the most"
        tree, _ = encode({"fault": said})
        text, packed = json.dumps(tree).encode(), b""
    pipe.sendall(_HEADER.pack(len(text), len(packed)) + text + packed)


def receive(
    pipe: socket.socket, seconds: float, more: Callable[[], float] | None = None
) -> dict[str, Any]:
    """The next frame, for the examiner.

    Args:
        more: asked when the time is over, how many seconds are to be added.

    Raises:
        Late: if it is not there, whole, within so many seconds.
        Gone: if the other end was closed.
        Garbled: if it is no frame.
    """
    left = _Time(seconds, more)
    sizes = _HEADER.unpack(_exactly(pipe, _HEADER.size, left))
    if sum(sizes) > MOST_BYTES:
        raise Garbled(f"an answer of {sum(sizes)} bytes was announced")
    text, packed = (_exactly(pipe, size, left) for size in sizes)
    try:
        tensors = load(packed) if packed else {}
        content = decode(json.loads(text), tensors)
    except (ValueError, RecursionError, SafetensorError) as error:
        raise Garbled(f"the answer is no frame ({type(error).__name__})") from None
    if not isinstance(content, dict):
        raise Garbled("the answer is no frame")
    return content


def send_bytes(pipe: socket.socket, content: bytes) -> None:
    """Send to a student's process, which trusts the examiner."""
    pipe.sendall(struct.pack(">Q", len(content)) + content)


def receive_bytes(pipe: socket.socket) -> bytes:
    """What the examiner sent.

    Raises:
        Gone: if it has ended.
    """
    (size,) = struct.unpack(">Q", _exactly(pipe, 8, None))
    return _exactly(pipe, size, None)


class _Time:
    """How long to wait; it may be prolonged when it is over."""

    def __init__(self, seconds: float, more: Callable[[], float] | None) -> None:
        self.deadline, self.more = time.monotonic() + seconds, more

    def left(self) -> float:
        """Seconds, above 0.

        Raises:
            Late: if there are none.
        """
        left = self.deadline - time.monotonic()
        if left <= 0 and self.more:
            left = self.more()
            self.deadline = time.monotonic() + left
        if left <= 0:
            raise Late
        return left


def _exactly(pipe: socket.socket, size: int, waits: _Time | None) -> bytes:
    chunks, left = [], size
    while left:
        if waits:
            pipe.settimeout(waits.left())
        try:
            chunk = pipe.recv(min(left, 1 << 20))
        except TimeoutError:
            continue
        except OSError:
            raise Gone from None
        if not chunk:
            raise Gone
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)
