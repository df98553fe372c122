"""Saved trainers: a network, its optimiser and where a training stands, in one safetensors file.

The file holds the bytes of the model file as the tensor `model`, the optimiser's arrays as
`state1`, `state2`, ... and, while early stopping watches, the best parameters as `best`; the rest
is JSON. Every byte is under one digest, and what is read is believed as little as a model file.
Called by `Trainer.save`, `Trainer.load` and pickle.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import losses, modelfile, optimizers, schedules, stopping
from .arrays import all_finite
from .errors import FormatError, one_of, real, shown, whole_number
from .losses import CustomLoss, checked_loss
from .modelfile import FORMAT, TRAINER_FORMAT, header_length, read_tensors, strict_json
from .network import Network
from .stopping import MODES, EarlyStopping, Watch
from .training import Trainer

FORMAT_VERSION = 1

_KEYS = {"format", "format_version", "trainer", "sha256"}
_STANDING = {
    *("optimizer", "loss", "options", "steps", "step_calls", "epochs", "learning_rate", "cost"),
    *("plateau", "watch"),
}
_PLATEAU = ("rate", "lowest", "waited")
_WATCH = ("mode", "best", "best_epoch", "mark", "waited")
_OWN = {"kind": "a Python function"}  # stands for a loss that no file can hold
_NO_DIGEST = "0" * 64  # in the place of the digest while it is computed
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')

_INVALID = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

# What a file may name: the frozen dataclasses of these rooms.
_KINDS = {
    name: kind
    for room in (optimizers, schedules, losses, stopping)
    for name, kind in vars(room).items()
    if isinstance(kind, type)
    and is_dataclass(kind)
    and kind.__module__ == room.__name__
    and kind is not CustomLoss
}

Array = NDArray[Any]
Arrays = dict[str, Array]


def save(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """See `Trainer.save`."""
    modelfile.replace_file(path, to_bytes(trainer))


def load(path: str | os.PathLike[str], loss: Any = None) -> Trainer:
    """See `Trainer.load`."""
    return modelfile.read_file(path, lambda data: from_bytes(data, loss))


def function_of(loss: Any) -> Callable[..., Any] | None:
    """The loss where it is a Python function, which no file can hold, else None."""
    spec = None if loss is None else checked_loss(loss)
    return spec.function if isinstance(spec, CustomLoss) else None


def to_bytes(trainer: Trainer) -> bytes:
    """The whole file in memory; the same trainer gives the same bytes."""
    tensors = {"model": np.frombuffer(modelfile.to_bytes(trainer.net), np.uint8)}
    for k, array in enumerate(trainer.state, 1):
        if not all_finite(array):
            raise ValueError("the optimiser's state must be finite to be saved")
        tensors[f"state{k}"] = array
    watch = trainer._watch
    if watch is not None and watch.kept is not None:
        tensors["best"] = watch.kept
    standing = json.dumps(_standing(trainer), separators=(",", ":"), allow_nan=False)
    metadata = {
        "format": TRAINER_FORMAT,
        "format_version": str(FORMAT_VERSION),
        "trainer": standing,
        "sha256": _NO_DIGEST,
    }
    data = modelfile.serialised(tensors, metadata)
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(_NO_DIGEST.encode(), digest.encode(), 1)  # the first is the header's


def from_bytes(data: bytes, loss: Any = None) -> Trainer:
    """The trainer in the bytes of a file; errors as for `Trainer.load`."""
    standing = strict_json(_checked_metadata(data)["trainer"], "the trainer")
    if not isinstance(standing, dict) or set(standing) != _STANDING:
        raise FormatError(f"a trainer has {', '.join(sorted(_STANDING))}; got {shown(standing)}")
    own = standing["loss"] == _OWN
    if own and not (callable(loss) and function_of(loss)):
        raise TypeError(
            "the loss of this trainer is a Python function, which no file holds: give it, as in "
            f"Trainer.load(path, loss=f); got {shown(loss)}"
        )
    if not own and loss is not None:
        raise ValueError(f"loss is for a loss of your own; this file has {standing['loss']}")
    tensors = read_tensors(data)
    model = tensors.pop("model", np.empty(0))
    if model.dtype != np.uint8:
        raise FormatError("the network is missing or damaged")
    net = modelfile.from_bytes(model.tobytes())
    try:
        return _restored(net, standing, tensors, loss)
    except FormatError:
        raise
    except _INVALID as error:
        raise FormatError(f"the saved trainer is not valid: {error}") from None


def _standing(trainer: Trainer) -> dict[str, Any]:
    """Where the training stands, as JSON can hold it."""
    plateau, watch = trainer._plateau, trainer._watch
    return {
        "optimizer": _spec(trainer.optimizer),
        "loss": _OWN if function_of(trainer.loss) else _spec(trainer.loss),
        "options": {
            "l1": trainer.penalties[0],
            "l2": trainer.penalties[1],
            "per_row": trainer._per_row,
            "seed": trainer._seed,
        },
        "steps": trainer._engine.steps,
        "step_calls": trainer._steps,
        "epochs": trainer.epochs,
        "learning_rate": trainer.learning_rate,
        "cost": _number(trainer._cost),
        "plateau": plateau and {name: _number(getattr(plateau, name)) for name in _PLATEAU},
        "watch": watch
        and {"rule": _spec(watch.rule)} | {name: _number(getattr(watch, name)) for name in _WATCH},
    }


def _restored(net: Network, standing: dict[str, Any], tensors: Arrays, loss: Any) -> Trainer:
    """A trainer of `net` that stands there."""
    optimizer = _from_spec(standing["optimizer"])
    its_loss = loss if standing["loss"] == _OWN else _from_spec(standing["loss"])
    trainer = Trainer(net, optimizer, its_loss, **standing["options"])
    engine = trainer._engine
    if isinstance(optimizer, optimizers.LBFGS):
        count = sum(name.startswith("state") for name in tensors)
        pairs = [_tensor(tensors, f"state{k}", net.theta) for k in range(1, count + 1)]
        engine.set_state(pairs)
    else:
        for k, array in enumerate(trainer.state, 1):
            array[...] = _tensor(tensors, f"state{k}", array)
    engine.steps = whole_number(standing["steps"], "steps", least=0)
    engine.learning_rate = _finite(standing["learning_rate"], "learning_rate")
    trainer._steps = whole_number(standing["step_calls"], "step_calls", least=0)
    trainer._epochs = whole_number(standing["epochs"], "epochs", least=0)
    trainer._cost = _extended(standing["cost"], "cost")
    plateau, old = trainer._plateau, standing["plateau"]
    if (plateau is None) != (old is None):
        raise FormatError("plateau belongs to a ReduceOnPlateau and to no other schedule")
    if plateau is not None:
        plateau.rate = _finite(old["rate"], "plateau.rate")
        plateau.lowest = _extended(old["lowest"], "plateau.lowest")
        plateau.waited = whole_number(old["waited"], "plateau.waited", least=0)
    if standing["watch"] is not None:
        trainer._watch = _restored_watch(net, standing["watch"], tensors)
    if tensors:
        raise FormatError(f"tensors not expected: {shown(sorted(tensors))}")
    return trainer


def _restored_watch(net: Network, old: dict[str, Any], tensors: Arrays) -> Watch:
    rule = _from_spec(old["rule"])
    if not isinstance(rule, EarlyStopping):
        raise FormatError(f"watch.rule must be an EarlyStopping, got {shown(rule)}")
    watch = Watch(rule, net.theta, one_of(old["mode"], "watch.mode", MODES))
    watch.best = _extended(old["best"], "watch.best")
    best, mark = old["best_epoch"], old["mark"]
    watch.best_epoch = best if best is None else whole_number(best, "watch.best_epoch", 0)
    watch.mark = mark if mark is None else _extended(mark, "watch.mark")
    watch.waited = whole_number(old["waited"], "watch.waited", least=0)
    if watch.kept is not None:
        watch.kept[...] = _tensor(tensors, "best", watch.kept)
    return watch


def _tensor(tensors: Arrays, name: str, like: Array) -> Array:
    """The tensor of that name, taken out of `tensors` and checked."""
    tensor = tensors.pop(name, None)
    if tensor is None or (tensor.dtype, tensor.shape) != (like.dtype, like.shape):
        got = "none" if tensor is None else f"{tensor.dtype} {tensor.shape}"
        raise FormatError(f"tensor {name} must be {like.dtype} {like.shape}, got {got}")
    if not np.isfinite(tensor).all():
        raise FormatError(f"tensor {name} has an element that is not finite")
    return tensor


def _checked_metadata(data: bytes) -> dict[str, str]:
    """The metadata of a whole file of this format and version."""
    length = header_length(data[:9], len(data))
    header = data[8 : 8 + length]
    try:
        entries = strict_json(header.decode("utf-8"), "the header")
    except UnicodeDecodeError as error:
        raise FormatError(f"the header is not UTF-8 ({error})") from None
    metadata: dict[str, str] = entries.get("__metadata__")
    kind = metadata.get("format") if isinstance(metadata, dict) else None
    if kind == FORMAT:
        raise FormatError(
            "this is a model file, which has no optimiser: "
            "chainrule.Trainer(chainrule.load(path), optimizer) trains it"
        )
    if kind != TRAINER_FORMAT:
        raise FormatError("not written by Trainer.save: the metadata do not say so")
    version = metadata.get("format_version")
    if version != str(FORMAT_VERSION):
        raise FormatError(
            f"written by format version {shown(version)}; this chainrule reads version "
            f"{FORMAT_VERSION}: install the one that wrote it"
        )
    digests = _DIGEST.findall(header)
    if set(metadata) != _KEYS or len(digests) != 1 or not isinstance(metadata["trainer"], str):
        raise FormatError(f"the metadata are {', '.join(sorted(_KEYS))}; got {shown(metadata)}")
    blank = data[:8] + header.replace(digests[0], _NO_DIGEST.encode()) + data[8 + length :]
    if hashlib.sha256(blank).hexdigest().encode() != digests[0]:
        raise FormatError("the file was changed or damaged (sha256 does not match)")
    return metadata


def _spec(value: Any) -> Any:
    """An optimiser, loss, schedule or rule as JSON: its name and its numbers."""
    if isinstance(value, tuple):
        return [_spec(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    name = type(value).__name__
    if _KINDS.get(name) is not type(value):
        raise TypeError(f"{name} is a class of your own, which no file holds")
    return {"kind": name} | {f.name: _spec(getattr(value, f.name)) for f in fields(value)}


def _from_spec(spec: Any) -> Any:
    """What `_spec` wrote; its class checks the numbers."""
    if isinstance(spec, dict):
        numbers = {name: _from_spec(value) for name, value in spec.items() if name != "kind"}
        return _KINDS[one_of(spec["kind"], "kind", _KINDS)](**numbers)
    return tuple(map(_from_spec, spec)) if isinstance(spec, list) else spec


def _number(value: Any) -> Any:
    """JSON has no NaN, for which null stands, and no infinity: its text does."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def _extended(value: Any, name: str) -> float:
    """What `_number` wrote."""
    if value is None:
        return math.nan
    return float(value) if value in ("inf", "-inf") else _finite(value, name)


def _finite(value: Any, name: str) -> float:
    number = real(value, name)
    if not math.isfinite(number):
        raise FormatError(f"{name} must be finite, got {value}")
    return number
