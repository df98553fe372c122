"""Model files: safetensors with the specification and digests in its metadata.

`save` replaces the file in one step, `load` believes nothing: sizes, names, shapes, digests and
values are checked before a network is made, and no pickle is ever opened.
"""
# ruff: noqa: PLC0415  (l is the number of a layer; safetensors is loaded when needed)

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .arrays import all_finite, first_not_finite
from .errors import FormatError, shown
from .layers import Dense, width
from .network import DTYPES, Network
from .scaling import Scaling

FORMAT = "chainrule"
TRAINER_FORMAT = "chainrule trainer"  # see checkpoint.py
FORMAT_VERSION = 1
MAX_HEADER = 10_000_000  # bytes

_ITEM_BYTES = {"F32": 4, "F64": 8}
_STORED_AS = {"float32": "F32", "float64": "F64"}
_SCALING = ("x_mean", "x_scale", "y_mean", "y_scale")
_METADATA = (
    "dtype",
    "format",
    "format_version",
    "header_sha256",
    "layers",
    "metadata",
    "n_inputs",
    "sha256",
)
# What people have instead of a model file, by its first bytes.
_OTHERS = (
    (b"\x80", "a pickle; it is never opened, because loading one can run any code"),
    (b"PK\x03\x04", "a zip archive such as .npz or a PyTorch .pt"),
    (b"\x93NUMPY", "a NumPy .npy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x78\x9c", "a zlib file such as one from joblib"),
    (b"\x78\x01", "a zlib file such as one from joblib"),
    (b"\x78\xda", "a zlib file such as one from joblib"),
)

Tensors = dict[str, NDArray[Any]]
Read = TypeVar("Read")


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write `net` to `path`: the old file or the new one is there, never a part; see `load`."""
    replace_file(path, to_bytes(net))


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file: the old one or the new one is there, never a part."""
    # Through a link, so that the link stays one; the temporary file is on the same disk.
    target = Path(path).resolve()
    temporary = target.with_name(f".{target.name[:50]}.{os.getpid()}.{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile: its files are readable by the owner alone, whatever the umask says.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(handle, "wb") as file:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in {None, str(temporary)}:
            error.filename, error.filename2 = str(target), None
        raise


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network written by `Network.save`.

    Parameters
    ----------
    path : path_like

    Returns
    -------
    Network
        With the same bits in its parameters, and its scaling and metadata.

    Raises
    ------
    FormatError
        The file is not a chainrule model, is damaged, or was written by a newer version.
    OSError
        The file cannot be read (FileNotFoundError when there is none).
    """
    return read_file(path, from_bytes)


def read_file(path: str | os.PathLike[str], parsed: Callable[[bytes], Read]) -> Read:
    """What `parsed` makes of a safetensors file; its FormatError gets the path."""
    file = Path(path)
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{file} is a directory, not a model file")
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{file} is not a regular file")
    with file.open("rb") as stream:
        start = stream.read(9)
        try:
            header_length(start, status.st_size)
            return parsed(start + stream.read())
        except FormatError as error:
            raise FormatError(f"{file}: {error}") from None


def to_bytes(net: Network) -> bytes:
    """The whole model file in memory; the same network gives the same bytes."""
    theta = net.theta
    if not all_finite(theta):
        raise ValueError(
            f"net.theta must be finite to be saved, got {theta[first_not_finite(theta)]} "
            f"at index {first_not_finite(theta)[0]}"
        )
    tensors = _tensors(net)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "dtype": net.dtype,
        "n_inputs": str(net.n[0]),
        "layers": _json([_layer(d) for d in net.layers]),
        "metadata": _user_json(net.metadata),
        "sha256": _tensor_digest(tensors),
    }
    metadata["header_sha256"] = _metadata_digest(metadata)
    return serialised(tensors, metadata)


def serialised(tensors: Tensors, metadata: dict[str, str]) -> bytes:
    """A safetensors file; the same tensors and metadata give the same bytes."""
    from safetensors.numpy import save as serialise

    data = serialise(tensors, metadata)
    # The library writes metadata in an order that changes from run to run; sorted, equal networks
    # give equal files.
    length = int.from_bytes(data[:8], "little")
    header = _json(json.loads(data[8 : 8 + length])).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise ValueError(
            f"the header would have {len(header)} bytes, at most {MAX_HEADER} are allowed: "
            "net.metadata is too large"
        )
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def from_bytes(data: bytes) -> Network:
    """The network in the bytes of a model file; FormatError as for `load`."""
    length = header_length(data[:9], len(data))
    entries, metadata = _parsed_header(data[8 : 8 + length])
    _check_entries(entries, len(data) - 8 - length)
    layers, n_inputs, dtype = _specification(metadata)
    _check_names_and_shapes(entries, layers, n_inputs, dtype)
    tensors = read_tensors(data)
    if _metadata_digest(metadata) != metadata["header_sha256"]:
        raise FormatError("the metadata were changed or damaged (header_sha256 does not match)")
    if _tensor_digest(tensors) != metadata["sha256"]:
        raise FormatError("the parameters were changed or damaged (sha256 does not match)")
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise FormatError(f"tensor {name} has an element that is not finite")
    user = strict_json(metadata["metadata"], "the user's metadata")
    if not isinstance(user, dict):
        raise FormatError(f"the user's metadata must be an object, got {shown(user)}")
    try:
        scaling = Scaling(*(tensors[name] for name in _SCALING)) if "x_mean" in tensors else None
    except ValueError as error:
        raise FormatError(str(error)) from None

    net = Network._zeros(layers, n_inputs, dtype)
    for l in range(1, net.L + 1):
        net.W[l][...] = tensors[f"W{l}"]
        net.b[l][...] = tensors[f"b{l}"]
    net.scaling = scaling
    net.metadata = user
    return net


def _tensors(net: Network) -> Tensors:
    """W1, b1, W2, b2, ... and the scaling, in the order of the digest."""
    tensors = {}
    for l in range(1, net.L + 1):
        tensors[f"W{l}"] = np.ascontiguousarray(net.W[l])
        tensors[f"b{l}"] = np.ascontiguousarray(net.b[l])
    if net.scaling is not None:
        tensors.update({name: getattr(net.scaling, name) for name in _SCALING})
    return tensors


def _tensor_digest(tensors: Tensors) -> str:
    """SHA-256 over the little-endian bytes of W1, b1, W2, b2, ..., x_mean, ..., y_scale."""
    digest = hashlib.sha256()
    for name in sorted(tensors, key=_place):
        tensor = tensors[name]
        digest.update(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _place(name: str) -> tuple[int, str]:
    if name in _SCALING:
        return 2**63, name
    return int(name[1:]), name


def _metadata_digest(metadata: dict[str, str]) -> str:
    """SHA-256 over key NUL value NUL of the other metadata, sorted by key."""
    digest = hashlib.sha256()
    for key in sorted(metadata.keys() - {"header_sha256"}):
        digest.update(f"{key}\0{metadata[key]}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _layer(layer: Dense) -> dict[str, Any]:
    row: dict[str, Any] = {"units": layer.units, "activation": layer.activation}
    return {**row, "dropout": layer.dropout} if layer.dropout else row


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _user_json(metadata: dict[str, Any]) -> str:
    """net.metadata as JSON, the order of its keys kept."""
    try:
        return json.dumps(metadata, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"net.metadata must fit JSON: {error}") from None


def header_length(start: bytes, size: int) -> int:
    """The length of the header from the first 9 bytes of a file of `size` bytes."""
    length = int.from_bytes(start[:8], "little")
    if size >= 9 and length <= min(MAX_HEADER, size - 8) and start[8:9] == b"{":
        return length
    # Only now: a good file whose header has 640 or 1152 bytes starts like a pickle.
    for magic, what in _OTHERS:
        if start.startswith(magic):
            raise FormatError(
                f"this is {what}, not a model file; write one with Network.save(path)"
            )
    if size < 9:
        raise FormatError(f"{size} bytes are too few for a model file: damaged, or another format")
    if length > min(MAX_HEADER, size - 8):
        raise FormatError(
            f"the header is said to have {length} bytes, at most {min(MAX_HEADER, size - 8)} "
            "are possible: truncated, or another format"
        )
    raise FormatError("the header does not start with '{': damaged, or another format")


def strict_json(text: str, what: str) -> Any:
    """JSON without duplicate keys, NaN, infinities and bottomless nesting."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) != len(pairs):
            raise ValueError("a key appears twice")
        return keys

    def finite(number: str) -> float:
        value = float(number)
        if not np.isfinite(value):
            raise ValueError(f"{number} is not a finite number")
        return value

    try:
        return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what}: not valid JSON ({error})") from None


def _parsed_header(header: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The entries of the tensors, and the metadata: all strings, exactly the known keys."""
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"the header is not UTF-8 ({error})") from None
    entries = strict_json(text, "the header")
    metadata = entries.pop("__metadata__", None)
    if isinstance(metadata, dict) and metadata.get("format") == TRAINER_FORMAT:
        raise FormatError(
            "this is a saved Trainer, not a model file: chainrule.Trainer.load(path).net is its "
            "network"
        )
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise FormatError("not written by chainrule: the metadata do not say format chainrule")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise FormatError(f"metadata {shown(key)} must be a string, got {shown(value)}")
        if "\0" in value:
            raise FormatError(f"metadata {shown(key)} has a null character")
    version = metadata.get("format_version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise FormatError(f"format_version must be a whole number, got {shown(version)}")
    if int(version) > FORMAT_VERSION:
        raise FormatError(
            f"written by format version {int(version)}; this chainrule reads up to version "
            f"{FORMAT_VERSION}: install a newer one"
        )
    if set(metadata) != set(_METADATA) or version != str(FORMAT_VERSION):
        raise FormatError(
            f"the metadata of format version {FORMAT_VERSION} are {', '.join(_METADATA)}; "
            f"got {shown(sorted(metadata))}"
        )
    return entries, metadata


def _check_entries(entries: dict[str, Any], size: int) -> None:
    """Each entry is well-formed, and together they cover the `size` bytes of data exactly."""
    spans = []
    for name, entry in entries.items():
        what = f"tensor {shown(name)}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise FormatError(f"{what} must have dtype, shape and data_offsets")
        item = _ITEM_BYTES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
        if item is None:
            raise FormatError(f"{what} has dtype {shown(entry['dtype'])}; F32 or F64 is allowed")
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not (_whole_numbers(shape) and _whole_numbers(offsets) and len(offsets) == 2):
            raise FormatError(
                f"{what} has shape {shown(shape)} and data_offsets {shown(offsets)}; "
                "lists of whole numbers are needed"
            )
        nbytes = item
        for count in shape:
            nbytes *= count
            if nbytes > size:
                break
        if offsets[1] - offsets[0] != nbytes:
            raise FormatError(f"{what} with shape {shown(shape)} does not fit its data_offsets")
        spans.append(tuple(offsets))
    spans.sort()
    ends = [(0, 0), *spans, (size, size)]
    if any(before[1] != after[0] for before, after in pairwise(ends)):
        raise FormatError(
            f"the tensors do not cover the {size} bytes of data exactly: truncated or damaged"
        )


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(k) is int and k >= 0 for k in value)


def _specification(metadata: dict[str, str]) -> tuple[list[Dense], int, str]:
    """Layers, number of inputs and dtype."""
    dtype = metadata["dtype"]
    if dtype not in DTYPES:
        raise FormatError(f"dtype must be one of {', '.join(DTYPES)}; got {shown(dtype)}")
    rows = strict_json(metadata["layers"], "layers")
    n_inputs = strict_json(metadata["n_inputs"], "n_inputs")
    if not isinstance(rows, list) or not rows:
        raise FormatError(f"layers must be a list, got {shown(rows)}")
    layers = []
    try:
        for row in rows:
            if not isinstance(row, dict) or set(row) - {"dropout"} != {"units", "activation"}:
                raise FormatError(f"a layer must have units and activation, got {shown(row)}")
            layers.append(Dense(row["units"], row["activation"], row.get("dropout", 0.0)))
        n_inputs = width(n_inputs, "n_inputs")
    except FormatError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"the layers are not valid: {error}") from None
    return layers, n_inputs, dtype


def _check_names_and_shapes(
    entries: dict[str, Any], layers: list[Dense], n_inputs: int, dtype: str
) -> None:
    stored = _STORED_AS[dtype]
    expected = {}
    n = [n_inputs, *(layer.units for layer in layers)]
    for l in range(1, len(n)):
        expected[f"W{l}"] = (stored, [n[l], n[l - 1]])
        expected[f"b{l}"] = (stored, [n[l]])
    if any(name in entries for name in _SCALING):
        for name in _SCALING:
            expected[name] = ("F64", [n[0] if name.startswith("x") else n[-1]])
    missing = sorted(expected.keys() - entries.keys())
    extra = sorted(entries.keys() - expected.keys())
    if missing or extra:
        raise FormatError(f"tensors missing: {shown(missing)}; not expected: {shown(extra)}")
    for name, (kind, shape) in expected.items():
        entry = entries[name]
        if (entry["dtype"], entry["shape"]) != (kind, shape):
            raise FormatError(
                f"tensor {name} must be {kind} with shape {shape}, "
                f"got {entry['dtype']} with shape {entry['shape']}"
            )


def read_tensors(data: bytes) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load as deserialise

    try:
        return deserialise(data)
    except SafetensorError as error:
        raise FormatError(f"not a valid safetensors file: {error}") from None


def _sync_folder(folder: Path) -> None:
    """The new name reaches the disk too; Windows cannot open a folder."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
