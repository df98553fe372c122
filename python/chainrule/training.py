"""Training: one update at a time with `Trainer`, or whole epochs behind `Network.fit`.

The loop over epochs and batches runs in the core, entered once per fit; this file checks the
arguments, keeps the history and turns a cost that is not finite into `DivergedError`.
"""
# ruff: noqa: PLC0415  (plots and progress bars are loaded when needed)

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .arrays import all_finite
from .custom_loss import custom_fit, custom_step
from .errors import DivergedError, real, shown, whole_number
from .history import History
from .losses import MAE, MSE, CustomLoss, GaussianNLL, Huber, LogCosh, Loss, LossLike, checked_loss
from .network import Network
from .optimizers import SGD, Optimizer, core_arguments
from .schedules import Plateau, ReduceOnPlateau, Schedule
from .stopping import EarlyStopping, Watch, reason

Array = NDArray[Any]

_DEFAULT_OPTIMIZER = SGD()
_ADVICE = (
    "try a smaller learning_rate (it was {rate:g}), or scale the data: "
    "net.scaling = chainrule.Scaling.fit(X, Y)"
)


class Trainer:
    """A network with an optimiser and its state: steps of your own, or epochs and more epochs.

    Parameters
    ----------
    net : Network
        Trained in place.
    optimizer : SGD, RMSprop, Adam, AdamW or Rprop
    loss : str, Loss or function(a, Y) -> (cost, dC/da)
    l1, l2 : float
        At least 0: the cost grows by l1 sum |w| + l2 / 2 sum w^2 over all weights, not the biases.
    per_row : bool
        Both are divided by the number of rows of each batch (or the sum of their weights), which is
        what `alpha` means in scikit-learn.
    seed : int
        Of the dropout in `step`; `fit` has a seed of its own.

    Raises
    ------
    TypeError, ValueError
        An argument is not as above, or the learning rate does not fit the network's dtype.

    Examples
    --------
    >>> trainer = Trainer(net, SGD(0.1, momentum=0.9))  # doctest: +SKIP
    >>> for X, Y in batches:  # doctest: +SKIP
    ...     cost = trainer.step(X, Y)
    """

    __slots__ = (
        "_cost",
        "_engine",
        "_epochs",
        "_loss",
        "_net",
        "_optimizer",
        "_penalties",
        "_plateau",
        "_quick",
        "_schedule",
        "_steps",
        "loss",
    )

    def __init__(
        self,
        net: Network,
        optimizer: Optimizer = _DEFAULT_OPTIMIZER,
        loss: LossLike = "mse",
        *,
        l1: float = 0.0,
        l2: float = 0.0,
        per_row: bool = False,
        seed: int = 0,
    ) -> None:
        if not isinstance(net, Network):
            raise TypeError(f"net must be a Network, got {type(net).__name__}")
        checked = checked_loss(loss)
        checked.check_outputs(net.n[-1])
        _check_optimizer(optimizer, net)
        self.loss = loss
        self._net = net
        self._optimizer = optimizer
        self._steps = 0
        self._epochs = 0
        self._cost = math.nan
        self._loss = checked
        self._engine = _core_trainer(
            net,
            optimizer,
            objective=net._objective(checked),
            l1=_checked_penalty(l1, "l1"),
            l2=_checked_penalty(l2, "l2"),
            per_row=_checked_bool(per_row, "per_row"),
        )
        self._engine.set_seed(whole_number(seed, "seed", least=0))
        self._penalties = (float(l1), float(l2))
        schedule = optimizer.learning_rate
        # A loss that has nothing to say about targets: then the core looks at the arrays itself.
        self._quick = type(checked) in (MSE, MAE, Huber, LogCosh, GaussianNLL) and not isinstance(
            schedule, Schedule
        )
        self._schedule = schedule if isinstance(schedule, Schedule) else None
        self._plateau = Plateau(schedule) if isinstance(schedule, ReduceOnPlateau) else None

    @property
    def net(self) -> Network:
        """The network that is trained."""
        return self._net

    @property
    def optimizer(self) -> Optimizer:
        """The update rule."""
        return self._optimizer

    @property
    def epochs(self) -> int:
        """Epochs that `fit` has done so far."""
        return self._epochs

    @property
    def learning_rate(self) -> float:
        """That of the next step; may be set between steps."""
        return self._engine.learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._engine.learning_rate = _checked_rate(rate, self._net)

    @property
    def penalties(self) -> tuple[float, float]:
        """(l1, l2) of the next step; may be set between steps."""
        return self._penalties

    @penalties.setter
    def penalties(self, value: tuple[float, float]) -> None:
        l1, l2 = value
        l1, l2 = _checked_penalty(l1, "l1"), _checked_penalty(l2, "l2")
        self._engine.set_penalties(l1, l2)
        self._penalties = (l1, l2)

    @property
    def state(self) -> tuple[Array, ...]:
        """The optimiser's state: arrays (P,) in the order of `net.theta`, writable views.

        Momentum has one, v; RMSprop q (and v); Adam v and q; Rprop g and h; plain SGD none.
        """
        return tuple(self._engine.state)

    @property
    def velocity(self) -> Array:
        """The velocity v (P,) of SGD with momentum, a writable view; zeros without momentum."""
        state = self._engine.state
        return state[0] if state else np.zeros_like(self._net.theta)

    def step(self, X: Any, Y: Any, sample_weight: Any = None) -> float:
        """One update (GD) on the rows of X and Y.

        Parameters
        ----------
        X : array_like, shape (m, n_0)
        Y : array_like, shape (m, n_L), or (m,) for one output
        sample_weight : array_like, shape (m,), optional

        Returns
        -------
        float
            The cost before the update.

        Raises
        ------
        TypeError, ValueError
            X or Y is not as above; nothing has changed.
        DivergedError
            The cost is not finite; nothing has changed.
        RuntimeError
            The network is being trained in another thread.
        """
        if self._quick and sample_weight is None and self._net._scaling is None:
            cost = self._engine.try_step(X, Y)
            if cost is not None:
                self._steps += 1
                self._cost = cost
                return cost
        return self._careful_step(X, Y, sample_weight)

    def _careful_step(self, X: Any, Y: Any, sample_weight: Any = None) -> float:
        """`step` for arguments that the core does not take as they are."""
        if self._schedule is not None:
            raise TypeError(
                f"learning_rate is {self._schedule}, which counts the steps of `fit`: for `step` "
                "give a number, and set trainer.learning_rate between the steps"
            )
        net, loss = self._net, self._loss
        x, y = _apart(net, *net._prepare(X, Y, loss))
        weight = net._weights(sample_weight, len(x), loss)
        try:
            if isinstance(loss, CustomLoss):
                cost = custom_step(self._engine, net, loss, x, y)
            else:
                cost = self._engine.step(x, y, weight)
        except ArithmeticError as error:
            # An update can overflow although the cost before it was finite.
            kept = (
                "The network keeps its parameters"
                if all_finite(self._net.theta)
                else "The update before it overflowed: the parameters are not finite any more"
            )
            raise DivergedError(
                f"step {self._steps + 1} diverged: {error}. {kept}; "
                + _ADVICE.format(rate=self._engine.learning_rate),
                step=self._steps + 1,
                cost=self._cost,
            ) from None
        self._steps += 1
        self._cost = cost
        return cost

    def fit(
        self,
        X: Any,
        Y: Any,
        epochs: int = 100,
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int = 0,
        validation_data: tuple[Any, Any] | None = None,
        callbacks: Any = (),
        progress: bool = False,
        *,
        validation_split: float | None = None,
        early_stopping: EarlyStopping | None = None,
        sample_weight: Any = None,
    ) -> History:
        """Train for some more epochs; arguments, result and errors as for `Network.fit`.

        The optimiser's state, the order of the rows and the schedule go on where the last `fit` of
        this trainer ended: 10 epochs and 10 more are the same bits as 20 at once.
        """
        net = self._net
        epochs = whole_number(epochs, "epochs", most=2**31 - 1)
        batch_size = whole_number(batch_size, "batch_size")
        seed = whole_number(seed, "seed", least=0)
        shuffle = _checked_bool(shuffle, "shuffle")
        progress = _checked_bool(progress, "progress")
        callbacks = _checked_callbacks(callbacks)
        x, y = net._prepare(X, Y, self._loss)
        weight = net._weights(sample_weight, len(x), self._loss)
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            raise TypeError(
                "early_stopping must be an EarlyStopping(patience=10) or None, "
                f"got {shown(early_stopping)} ({type(early_stopping).__name__})"
            )
        x_val, y_val, weight_val = _validation(net, validation_data, self._loss)
        if validation_split is not None:
            if x_val is not None:
                raise ValueError("validation_split and validation_data: give one of them")
            rest, out = _split(len(x), validation_split, seed)
            x, y, x_val, y_val = x[rest], y[rest], x[out], y[out]
            if weight is not None:
                weight, weight_val = weight[rest], weight[out]
                if not (weight.any() and weight_val.any()):
                    raise ValueError("sample_weight is 0 everywhere on one side of the split")
        x, y = _apart(net, x, y)
        rows = x.shape[0]
        batch_size = min(batch_size, rows)
        history = History()
        bar = None
        if progress:
            from .progress import Progress

            bar = Progress(epochs, rows)
        watch = None if early_stopping is None else Watch(early_stopping, net.theta)
        looking = callbacks or bar is not None or self._plateau is not None or watch is not None
        start = time.perf_counter()

        def clock() -> None:
            history.seconds = time.perf_counter() - start
            history.rows_per_second = rows * len(history.cost) / max(history.seconds, 1e-9)

        def on_epoch(epoch: int, cost: float, val_cost: float) -> bool:
            history.cost.append(cost)
            if x_val is not None:
                history.val_cost.append(val_cost)
            clock()
            watched = cost if x_val is None else val_cost
            if self._plateau is not None:
                self._engine.learning_rate = self._plateau.after(watched)
            if watch is not None and watch.after(epoch + 1, watched):
                history.stopped = "early_stopping"
            if bar is not None:
                bar.update(epoch + 1, cost, val_cost if x_val is not None else None)
            answers = [callback(net, history) for callback in callbacks]
            by_callback = any(isinstance(a, (bool, np.bool_)) and bool(a) for a in answers)
            return by_callback or history.stopped == "early_stopping"

        first, steps, done = self._epochs, -(-rows // batch_size), self._engine.steps
        run = self._engine.fit
        if isinstance(self._loss, CustomLoss):
            run = partial(custom_fit, self._engine, net, self._loss)
        try:
            costs, val_costs, stopped = run(
                x,
                y,
                epochs,
                batch_size,
                shuffle,
                seed,
                first,
                x_val,
                y_val,
                on_epoch if looking else None,
                self._rates(first * steps, epochs * steps, steps),
                weight,
                weight_val,
            )
        finally:
            self._epochs = first + (self._engine.steps - done) // steps
            if bar is not None:
                bar.close()
        if stopped == "diverged":
            raise _diverged(self, x, y, epochs, [c for c in costs if math.isfinite(c)])
        history.cost[:] = costs
        history.val_cost[:] = val_costs
        history.stopped = history.stopped or stopped
        if watch is not None:
            watch.restore()
        clock()
        history.reason = reason(history.stopped, history.cost, history.val_cost, watch)
        return history

    def _rates(self, first: int, count: int, per_epoch: int) -> Array | None:
        """The learning rates of the steps to come, where the schedule knows them."""
        if self._schedule is None or self._plateau is not None:
            return None
        return self._schedule.rates(np.arange(first, first + count), per_epoch)

    def __repr__(self) -> str:
        return f"Trainer({self._net!r}, {self._optimizer!r}, loss={self.loss!r})"


def fit(
    net: Network,
    X: Any,
    Y: Any,
    *,
    optimizer: Optimizer,
    loss: LossLike,
    l1: float,
    l2: float,
    **how: Any,
) -> History:
    """See `Network.fit`."""
    return Trainer(net, optimizer, loss, l1=l1, l2=l2).fit(X, Y, **how)


def _diverged(
    trainer: Trainer, x: Array, y: Array, epochs: int, costs: list[float]
) -> DivergedError:
    """What to raise when an epoch diverged after `costs`, those of the epochs before it."""
    epoch = len(costs) + 1
    # In the first epoch the parameters are the initial ones: their cost is the last finite one.
    cost = costs[-1] if costs else _cost_of(trainer, x, y)
    if not math.isfinite(cost):
        cost = math.nan
    last = "it never was" if math.isnan(cost) else f"last finite cost {cost:.6g}"
    kept = f"those after epoch {epoch - 1}" if costs else "the initial ones"
    return DivergedError(
        f"training diverged in epoch {epoch} of {epochs}: the cost or a parameter is no longer "
        f"finite ({last}). The network's parameters are {kept}; "
        + _ADVICE.format(rate=trainer.learning_rate),
        epoch=epoch,
        cost=cost,
    )


def _cost_of(trainer: Trainer, x: Array, y: Array) -> float:
    net, loss = trainer.net, trainer._loss
    if isinstance(loss, CustomLoss):
        return net._custom(loss, x, y)[0]
    return net._engine.cost(x, y, net._objective(loss))


def _core_trainer(
    net: Network, optimizer: Optimizer, **how: Any
) -> _core.Trainer32 | _core.Trainer64:
    arguments = core_arguments(optimizer)
    if isinstance(net._engine, _core.Network32):
        return _core.Trainer32(net._engine, **arguments, **how)
    return _core.Trainer64(net._engine, **arguments, **how)


def _apart(net: Network, x: Array, y: Array) -> tuple[Array, Array]:
    """Copies where X or Y is a view of the parameters, which training changes."""
    # An array without a base owns its memory: the quick answer.
    if x.base is not None and np.may_share_memory(x, net.theta):
        x = x.copy()
    if y.base is not None and np.may_share_memory(y, net.theta):
        y = y.copy()
    return x, y


def _check_optimizer(optimizer: Any, net: Network) -> None:
    if not isinstance(optimizer, Optimizer) or type(optimizer) is Optimizer:
        raise TypeError(
            "optimizer must be an optimiser such as SGD(learning_rate=0.01), "
            f"got {shown(optimizer)} ({type(optimizer).__name__})"
        )
    _checked_rate(optimizer.first_rate, net)


def _checked_rate(rate: Any, net: Network) -> float:
    number = real(rate, "learning_rate")
    with np.errstate(over="ignore", under="ignore"):
        in_dtype = net.theta.dtype.type(number)
    if not (in_dtype > 0 and np.isfinite(in_dtype)):
        raise ValueError(f"learning_rate must be above 0 and finite in {net.dtype}, got {rate}")
    return number


def _checked_penalty(value: Any, name: str) -> float:
    number = real(value, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {shown(value)}")
    return number


def _checked_bool(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def _checked_callbacks(callbacks: Any) -> tuple[Callable[[Network, History], object], ...]:
    if callable(callbacks) or not hasattr(callbacks, "__iter__"):
        raise TypeError(
            "callbacks must be a sequence of callables, such as callbacks=(f,); "
            f"got {shown(callbacks)} ({type(callbacks).__name__})"
        )
    checked = tuple(callbacks)
    for k, callback in enumerate(checked):
        if not callable(callback):
            raise TypeError(
                f"callbacks[{k}] must be callable as callback(net, history), "
                f"got {shown(callback)} ({type(callback).__name__})"
            )
    return checked


def _split(rows: int, part: Any, seed: int) -> tuple[Array, Array]:
    """The rows to train on and those to look at, a function of the seed alone."""
    number = real(part, "validation_split")
    held = round(number * rows) if 0 < number < 1 else 0
    if not 0 < held < rows:
        raise ValueError(
            f"validation_split must be in (0, 1) and leave rows on both sides, got {part!r} "
            f"of {rows} rows"
        )
    order = np.random.default_rng([seed, 1]).permutation(rows)
    return np.sort(order[held:]), np.sort(order[:held])


def _validation(
    net: Network, data: Any, loss: Loss
) -> tuple[Array | None, Array | None, Array | None]:
    if data is None:
        return None, None, None
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise TypeError(
            "validation_data must be a tuple (X, Y) or (X, Y, sample_weight), "
            f"got {shown(data)} ({type(data).__name__})"
        )
    names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
    x, y = net._prepare(data[0], data[1], loss, names[:2])
    weight = data[2] if len(data) == 3 else None
    return *_apart(net, x, y), net._weights(weight, len(x), loss, names[2])
