"""The check of a PyTorch module: its autograd against differences of its own forward pass.

Reached only when somebody has imported torch; nothing is imported from it before.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import reference
from ..arrays import as_ndarray
from ..errors import shown, whole_number
from ..losses import MSE, checked_squares
from .foreign import SAME, Foreign, check_foreign
from .layered import Layered
from .mistakes import Anatomy, diagnose
from .parameters import Parameters
from .report import GradientCheck, count

Array = NDArray[Any]


def check_module(
    module: Any, X: Any, Y: Any, loss: Any, *, max_parameters: int, seed: int
) -> GradientCheck:
    """See `gradcheck`."""
    torch = sys.modules["torch"]
    max_parameters = whole_number(max_parameters, "max_parameters", least=1)
    seed = whole_number(seed, "seed", least=0)
    if not callable(loss) and not isinstance(loss, (str, MSE)):
        raise TypeError(
            f'loss must be "mse", a loss such as MSE(), or a callable loss(output, Y), '
            f"got {shown(loss)} ({type(loss).__name__})"
        )
    mse = None if callable(loss) and not isinstance(loss, MSE) else checked_squares(loss)
    if Y is None:
        raise TypeError("Y is missing: gradcheck(module, X, Y, loss=...)")
    start = time.perf_counter()
    with _apart(torch):
        twin = _double(torch, module)
        inputs = [_tensor(torch, x, "X") for x in (X if isinstance(X, tuple) else (X,))]
        if not any(isinstance(m, torch.nn.Embedding) for m in twin.modules()):
            inputs = [x if x.dtype == torch.bool else x.double() for x in inputs]
        target = _tensor(torch, Y, "Y")
        free = {name: p for name, p in twin.named_parameters() if p.requires_grad}
        frozen = [name for name, p in twin.named_parameters() if not p.requires_grad]
        if not any(p.numel() for p in free.values()):
            raise ValueError(
                f"{type(module).__name__} has no parameter that requires a gradient"
                + (f"; frozen: {_listed(frozen)}" if frozen else "")
            )
        criterion = _squared(torch, mse) if mse else _double(torch, loss)
        parameters = Parameters((name, _array(p, name), None, "") for name, p in free.items())
        kept = [(buffer, buffer.clone()) for buffer in twin.buffers()]
        random = torch.get_rng_state()

        def forward() -> Any:
            """The cost, with the random numbers and the buffers of the first time."""
            torch.set_rng_state(random)
            with torch.no_grad():
                for buffer, old in kept:
                    buffer.copy_(old)
            try:
                output = twin(*inputs)
            except Exception as error:
                raise RuntimeError(
                    f"the forward pass of {type(module).__name__} raised "
                    f"{type(error).__name__}: {error}"
                ) from error
            return _checked_cost(torch, criterion, output, target)

        C = forward()
        here = float(C.detach())
        if not np.isfinite(here):
            raise ValueError(f"the cost must be finite, got {here}")
        derivatives: tuple[Any, ...] = (None,) * len(free)
        if C.requires_grad:
            derivatives = torch.autograd.grad(C, list(free.values()), allow_unused=True)
        got = np.concatenate(
            [
                np.zeros(p.numel()) if g is None else g.detach().double().numpy().ravel()
                for p, g in zip(free.values(), derivatives, strict=True)
            ]
        )
        if not abs(float(forward().detach()) - here) <= SAME * abs(here):
            raise ValueError(
                f"{type(module).__name__} is not deterministic: two forward passes with the same "
                f"parameters differ in the cost"
            )
        samples = len(inputs[0]) if inputs and inputs[0].ndim else None
        layered, note = _layered(torch, twin, parameters, inputs, target, loss)
        notes = ["Checked as a copy in float64 and in eval mode (no dropout, fixed statistics)."]
        unused = [name for name, g in zip(free, derivatives, strict=True) if g is None]
        if frozen:
            notes.append(f"Frozen (requires_grad is False), not checked: {_listed(frozen)}.")
        if unused:
            notes.append(f"Without a gradient (None), taken for 0: {_listed(unused)}.")
        return check_foreign(
            Foreign(
                f"{type(module).__name__} of PyTorch with {count(parameters.size, 'parameter')}",
                "autograd",
                parameters,
                lambda: float(forward().detach()),
                got,
                samples,
                notes + note,
                _explain(parameters, layered, unused),
            ),
            max_parameters=max_parameters,
            seed=seed,
            start=start,
        )


@contextlib.contextmanager
def _apart(torch: Any) -> Iterator[None]:
    """Gradients on, whatever the caller has switched off, and the random numbers put back.

    One thread: a difference is many small passes, and waiting for a second costs more than it does.
    """
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(random)


def _double(torch: Any, module: Any) -> Any:
    """A copy in float64 on the CPU and in eval mode; a loss that is a function as it is."""
    if not isinstance(module, torch.nn.Module):
        return module
    name = type(module).__name__
    for path, p in module.named_parameters():
        if isinstance(p, torch.nn.parameter.UninitializedParameter):
            raise ValueError(f"{path} of {name} has no shape yet; call the module once, then check")
        if p.is_complex():
            raise TypeError(f"{path} of {name} is complex; only real parameters are checked")
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        reason = str(error).split(". ")[0]
        raise TypeError(
            f"{name} cannot be copied (copy.deepcopy raised {type(error).__name__}: {reason}); "
            "does it keep tensors of a former forward pass?"
        ) from error
    return twin.to("cpu").to(torch.float64).eval()


def _tensor(torch: Any, value: Any, name: str) -> Any:
    """A tensor of its own, in float64 where it holds fractions."""
    if not isinstance(value, torch.Tensor):
        value = torch.from_numpy(np.array(as_ndarray(value, name)))
    value = value.detach().cpu().clone()
    if value.is_complex():
        raise TypeError(f"{name} must be real, got dtype {value.dtype}")
    if value.is_floating_point():
        value = value.double()
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} must be finite, got NaN or inf in it")
    return value


def _array(p: Any, name: str) -> Array:
    """The memory of a parameter."""
    if p.layout is not None and str(p.layout) != "torch.strided":
        raise TypeError(f"{name} must be dense, got layout {p.layout}")
    array: Array = p.detach().numpy()
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or inf in it")
    return array


def _squared(torch: Any, mse: MSE) -> Callable[[Any, Any], Any]:
    def cost(output: Any, target: Any) -> Any:
        if output.ndim == target.ndim + 1 and output.shape[-1] == 1:
            target = target[..., None]
        if output.shape != target.shape:
            raise ValueError(
                f"Y must have the shape of the output, {tuple(output.shape)}, "
                f"got shape {tuple(target.shape)}"
            )
        m = len(output) if output.ndim else 1
        return ((output - target.double()) ** 2).sum() / mse.divisor(m, output.numel() // m)

    return cost


def _checked_cost(torch: Any, criterion: Any, output: Any, target: Any) -> Any:
    squared = getattr(criterion, "__module__", "") == __name__
    if squared and not isinstance(output, torch.Tensor):
        raise TypeError(
            f"the module must return a tensor for the squared error, got {type(output).__name__}; "
            "give a loss(output, Y) that knows what to do with it"
        )
    try:
        C = criterion(output, target)
    except Exception as error:
        if squared:
            raise
        raise RuntimeError(f"loss(output, Y) raised {type(error).__name__}: {error}") from error
    if not isinstance(C, torch.Tensor) or C.numel() != 1 or C.is_complex():
        what = f"shape {tuple(C.shape)}" if isinstance(C, torch.Tensor) else type(C).__name__
        raise TypeError(f"loss(output, Y) must return one real number as a tensor, got {what}")
    return C.reshape(())


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"


def _explain(
    parameters: Parameters, layered: Layered | None, unused: list[str]
) -> Callable[[Array, Array, Array], str]:
    """The diagnosis; parameters that autograd does not reach come first."""

    def explain(got: Array, right: Array, bad: Array) -> str:
        wrong = [block.name for block in parameters.blocks if bad[block.where].any()]
        cut = [name for name in wrong if name in unused]
        if cut == wrong:
            return (
                f"The cost depends on {_listed(cut)}, but autograd does not reach them: is there a"
                " detach(), .data, .item() or no_grad() on the way?"
            )
        return layered(got, right, bad) if layered else diagnose(parameters, got, right, bad)

    return explain


def _layered(
    torch: Any, twin: Any, parameters: Parameters, inputs: list[Any], target: Any, loss: Any
) -> tuple[Layered | None, list[str]]:
    """The module as a dense network, when it is a Sequential of Linear and known activations.

    An activation is known by its values, so that one with a derivative of its own is known too.
    """
    ours = _as_ours(torch, loss)
    layers = list(_children(torch, twin))
    if ours is None or len(inputs) != 1 or not layers:
        return None, []
    names: list[str] = []
    linear = False
    for layer in layers:
        if _is_linear(torch, layer):
            names.append("identity")
            linear = True
        elif linear and (name := _activation(torch, layer)):
            names[-1] = name
            linear = False
        else:
            return None, []
    blocks = parameters.blocks
    if [b.array.ndim for b in blocks] != [2, 1] * len(names) or inputs[0].ndim != 2:
        return None, []  # without bias, or frozen
    W, b = ([None, *(block.array for block in blocks[i::2])] for i in (0, 1))
    X, Y = inputs[0].numpy(), target.double().numpy()
    outputs = blocks[-1].array.size
    if ours.name == "cross_entropy" and Y.ndim == 1:
        Y = np.eye(outputs)[Y.astype(np.intp)]
    Y = Y.reshape(len(X), -1)
    if Y.shape[1] != outputs:
        return None, []
    layered = Layered(parameters, Anatomy(W, b, names, X, Y, ours))
    return layered, ["W^1 is " + blocks[0].name + ", b^1 is " + blocks[1].name + ", and so on."]


# PyTorch's losses that are ours: the class, the function, our name, what else must be as it is.
LOSSES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("MSELoss", "mse_loss", "mse", {}),
    ("L1Loss", "l1_loss", "mae", {}),
    ("HuberLoss", "huber_loss", "huber", {}),
    ("PoissonNLLLoss", "poisson_nll_loss", "poisson", {"log_input": True, "full": False}),
    (
        "BCEWithLogitsLoss",
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy",
        {"weight": None, "pos_weight": None},
    ),
    (
        "CrossEntropyLoss",
        "cross_entropy",
        "cross_entropy",
        {"weight": None, "label_smoothing": 0.0, "ignore_index": -100},
    ),
)


def _as_ours(torch: Any, loss: Any) -> reference.Loss | None:
    """The loss as one of the reference's, or nothing."""
    if isinstance(loss, (str, MSE)):
        return reference.Loss("mse", (), checked_squares(loss).reduction)
    for kind, function, name, options in LOSSES:
        if loss is getattr(torch.nn.functional, function):
            return reference.Loss(name, reference.DEFAULTS.get(name, ()))
        if type(loss) is getattr(torch.nn, kind):
            as_they_are = all(getattr(loss, key) == value for key, value in options.items())
            if not as_they_are or loss.reduction not in ("mean", "sum"):
                return None
            parameters = (float(loss.delta),) if name == "huber" else ()
            return reference.Loss(name, parameters, loss.reduction)
    return None


def _children(torch: Any, module: Any) -> Iterator[Any]:
    """The modules of a Sequential, and of those in it; nothing for anything else."""
    if type(module) is torch.nn.Sequential:
        for child in module:
            if type(child) is torch.nn.Sequential:
                yield from _children(torch, child)
            else:
                yield child


def _is_linear(torch: Any, layer: Any) -> bool:
    """Does it have W and b alone, and compute x W^T + b?"""
    if [name for name, _ in layer.named_parameters()] != ["weight", "bias"]:
        return False
    W, b = layer.weight.detach(), layer.bias.detach()
    if W.ndim != 2:
        return False
    x = torch.linspace(-1, 1, 3 * W.shape[1], dtype=W.dtype).reshape(3, -1)
    return _same(torch, layer, x, x @ W.T + b)


def _activation(torch: Any, layer: Any) -> str:
    """Its name in the reference, or nothing."""
    if any(True for _ in layer.parameters()):
        return ""
    z = torch.linspace(-4, 4, 83, dtype=torch.float64).reshape(-1, 1)
    for name, (f, _) in reference.ACTIVATIONS.items():
        if _same(torch, layer, z, torch.from_numpy(np.asarray(f(z.numpy())))):
            return name
    return ""


def _same(torch: Any, layer: Any, x: Any, expected: Any) -> bool:
    try:
        y = layer(x)
        return y.shape == expected.shape and bool(torch.allclose(y, expected, 1e-10, 1e-12))
    except Exception:  # not of this form at all
        return False
