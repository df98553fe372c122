"""Training: one update at a time with `Trainer`, or whole epochs behind `Network.fit`.

The loop over epochs and batches runs in the core, entered once per fit; this file checks the
arguments, keeps the history and turns a cost that is not finite into `DivergedError`.
"""
# ruff: noqa: PLC0415  (files are written and read when needed)

from __future__ import annotations

import math
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .custom_loss import NotFiniteError, custom_fit, custom_step
from .divergence import diverged_epoch, diverged_step
from .epochs import Epochs, checked_callbacks, progress_bar
from .errors import real, shown, whole_number
from .history import History
from .losses import MAE, MSE, CustomLoss, GaussianNLL, Huber, LogCosh, Loss, LossLike, checked_loss
from .metrics import checked_metrics
from .network import Network
from .optimizers import LBFGS, SGD, Optimizer, core_arguments
from .rows import apart, gather
from .schedules import Plateau, ReduceOnPlateau, Schedule
from .stopping import EarlyStopping, Watch, mode_of

Array = NDArray[Any]

_DEFAULT_OPTIMIZER = SGD()


class Trainer:
    """A network with an optimiser and its state: steps of your own, or epochs and more epochs.

    Keep it to go on where you were: with new rows (`step`, or `fit` with epochs=1), with more
    epochs (`fit` again), or another day (`save` and `load`).

    Parameters
    ----------
    net : Network
        Trained in place.
    optimizer : SGD, RMSprop, Adam, AdamW, Rprop or LBFGS
        LBFGS takes no l1, no dropout and no loss function.
    loss : str, Loss or function(a, Y) -> (cost, dC/da)
        As for `Network.cost`.
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
        "_fitting",
        "_full_batch",
        "_loss",
        "_net",
        "_optimizer",
        "_penalties",
        "_per_row",
        "_plateau",
        "_quick",
        "_schedule",
        "_seed",
        "_steps",
        "_watch",
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
        self._full_batch = isinstance(optimizer, LBFGS)
        if self._full_batch:
            _check_smooth(net, checked, l1)
        self.loss = loss
        self._net = net
        self._optimizer = optimizer
        self._steps = 0
        self._epochs = 0
        self._cost = math.nan
        self._fitting = False
        self._watch: Watch | None = None  # of the fit that runs, or was broken off
        self._loss = checked
        self._engine = _core_trainer(
            net,
            optimizer,
            objective=net._objective(checked),
            l1=_checked_penalty(l1, "l1"),
            l2=_checked_penalty(l2, "l2"),
            per_row=_checked_bool(per_row, "per_row"),
        )
        self._per_row = bool(per_row)
        self._seed = whole_number(seed, "seed", least=0)
        self._seed_steps()
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
        """That of the next step; may be set between steps, and by a callback between epochs.

        With a schedule that knows its course it is the first rate and cannot be set: ValueError.
        """
        rate: float = self._engine.learning_rate
        return rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        rate = _checked_rate(rate, self._net)
        if self._plateau is not None:
            self._plateau.rate = rate
        elif self._schedule is not None:
            raise ValueError(f"learning_rate follows {self._schedule}; it cannot be set")
        self._engine.learning_rate = rate

    @property
    def penalties(self) -> tuple[float, float]:
        """(l1, l2) of the next step; may be set between steps."""
        return self._penalties

    @penalties.setter
    def penalties(self, value: tuple[float, float]) -> None:
        l1, l2 = value
        l1, l2 = _checked_penalty(l1, "l1"), _checked_penalty(l2, "l2")
        if l1 and isinstance(self._optimizer, LBFGS):
            raise ValueError(f"l1 must be 0 with LBFGS, whose cost has to be smooth; got {l1:g}")
        self._engine.set_penalties(l1, l2)
        self._penalties = (l1, l2)

    @property
    def state(self) -> tuple[Array, ...]:
        """The optimiser's state: arrays (P,) in the order of `net.theta`, writable views.

        Momentum has one, v; RMSprop q (and v); Adam v and q; Rprop g and h; plain SGD none.
        LBFGS has s and y of the oldest change it remembers, of the next one and so on, read-only.
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
            cost: float | None = self._engine.try_step(X, Y)
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
        x, y = (apart(net, array) for array in net._prepare(X, Y, loss))
        weight = net._weights(sample_weight, len(x), loss)
        try:
            if isinstance(loss, CustomLoss):
                cost = custom_step(self._engine, loss, x, y)
            else:
                cost = self._engine.step(x, y, weight)
        except ArithmeticError as error:
            if isinstance(loss, CustomLoss) and not isinstance(error, NotFiniteError):
                raise  # out of the function itself
            raise diverged_step(self, self._steps + 1, self._cost, error) from None
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
        metrics: Any = (),
        scale: str | None = None,
    ) -> History:
        """Train for some more epochs; arguments, result and errors as for `Network.fit`.

        The optimiser's state, the order of the rows and the schedule go on where the last `fit` of
        this trainer ended: 10 epochs and 10 more are the same bits as 20 at once. So do they after
        `save` and `load`. An epoch that was broken off in its middle does not count.

        Early stopping begins anew with each `fit`, unless the one before was broken off (by an
        exception, by Ctrl-C, or by the end of the process after a callback saved the trainer) and
        `early_stopping` is the same rule: then it remembers. With `restore_best` each `fit` that
        ends by itself goes back to its best epoch, and the next one goes on from there.
        """
        if self._fitting:
            raise RuntimeError("the network is being trained already, by this trainer")
        net = self._net
        epochs = whole_number(epochs, "epochs", most=2**31 - 1)
        batch_size = whole_number(batch_size, "batch_size")
        seed = whole_number(seed, "seed", least=0)
        shuffle = _checked_bool(shuffle, "shuffle")
        progress = _checked_bool(progress, "progress")
        callbacks = checked_callbacks(callbacks)
        measures = checked_metrics(metrics)
        mode = mode_of(early_stopping, measures)
        scaling, bias, done = net._scaling, net.b[net.L].copy(), self._engine.steps
        try:
            train, held = gather(
                net,
                self._loss,
                X,
                Y,
                sample_weight,
                validation_data=validation_data,
                validation_split=validation_split,
                seed=seed,
                scale=scale,
                keep=bool(measures),
            )
            watch = self._watch_of(early_stopping, mode)
            bar = progress_bar(epochs, len(train)) if progress else None
            seen = Epochs(self, train, held, measures, watch, callbacks, bar)
            batch_size = len(train) if self._full_batch else min(batch_size, len(train))
            return self._run(seen, epochs, batch_size, shuffle, seed)
        except BaseException:
            if self._engine.steps == done:  # nothing was learnt in a new scaling
                if net._scaling is not scaling:
                    net.b[net.L][...] = bias
                net._scaling = scaling
            raise

    def _run(self, seen: Epochs, epochs: int, batch_size: int, shuffle: bool, seed: int) -> History:
        """The call of the core, and what is to be done when it comes back or raises."""
        x, y, held = seen.train.x, seen.train.y, seen.held
        first, steps, done = self._epochs, -(-len(x) // batch_size), self._engine.steps
        run = self._engine.fit
        if isinstance(self._loss, CustomLoss):
            run = partial(custom_fit, self._engine, self._net, self._loss)
        self._fitting = True
        try:
            costs, val_costs, stopped = run(
                x,
                y,
                epochs,
                batch_size,
                shuffle,
                seed,
                first,
                None if held is None else held.x,
                None if held is None else held.y,
                seen.after if seen.looking else None,
                self._rates(first * steps, epochs * steps, steps),
                seen.train.w,
                None if held is None else held.w,
            )
        finally:
            self._fitting = False
            self._seed_steps()  # again
            self._epochs = first + (self._engine.steps - done) // steps
            if seen.bar is not None:
                seen.bar.close()
        self._watch = None  # not broken off: the next fit begins anew
        if stopped == "diverged":
            raise diverged_epoch(self, seen.train, epochs, [c for c in costs if math.isfinite(c)])
        return seen.ended(costs, val_costs, stopped)

    def _watch_of(self, rule: EarlyStopping | None, mode: str) -> Watch | None:
        """What remembers for `rule`: that of a fit that was broken off, else a new one."""
        old, self._watch = self._watch, None
        if rule is None:
            return None
        if old is not None and (old.rule, old.mode) == (rule, mode):
            old.begin_again()
            self._watch = old
        else:
            self._watch = Watch(rule, self._net.theta, mode)
        return self._watch

    def _seed_steps(self) -> None:
        """The dropout of `step` goes by the seed of the trainer; LBFGS knows none."""
        if not self._full_batch:
            self._engine.set_seed(self._seed)

    def _after_epoch(self, cost: float) -> None:
        """The rate of the next epoch, where it depends on the cost."""
        if self._plateau is not None:
            self._engine.learning_rate = self._plateau.after(cost)

    def _rates(self, first: int, count: int, per_epoch: int) -> Array | None:
        """The learning rates of the steps to come, where the schedule knows them."""
        if self._schedule is None or self._plateau is not None:
            return None
        return self._schedule.rates(np.arange(first, first + count), per_epoch)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the trainer to a file, from which `load` goes on with the same bits.

        The file has the network with its scaling and metadata, the optimiser with its state, the
        loss, and where the schedule and the early stopping stand; not the data and not what `fit`
        was told. It is whole at every moment: a temporary file in the same folder takes its place.

        Parameters
        ----------
        path : path

        Raises
        ------
        TypeError, ValueError
            A parameter or the state is not finite, `net.metadata` does not fit JSON, or the
            optimiser or its schedule is of a class of your own.
        OSError
            The file cannot be written; an old one is left as it was.

        Examples
        --------
        After each epoch, from a callback:

        >>> keep = lambda net, history: trainer.save("run.safetensors")
        >>> trainer.fit(X, Y, epochs=100, callbacks=[keep])  # doctest: +SKIP
        """
        from .checkpoint import save

        save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], loss: LossLike | None = None) -> Trainer:
        """Read a trainer written by `save`.

        Parameters
        ----------
        path : path
        loss : callable, optional
            The loss, where it is a Python function of your own, which no file can hold.

        Returns
        -------
        Trainer
            With a network of its own, `.net`.

        Raises
        ------
        FormatError
            The file is not a saved trainer, is damaged, or was written by a newer version.
        TypeError, ValueError
            `loss` is missing, or the file has one.
        OSError
            The file cannot be read.
        """
        from .checkpoint import load

        return load(path, loss)

    def __reduce__(self) -> tuple[Any, ...]:
        from .checkpoint import from_bytes, function_of, to_bytes

        return from_bytes, (to_bytes(self), function_of(self.loss))

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


def _core_trainer(net: Network, optimizer: Optimizer, **how: Any) -> Any:
    arguments = core_arguments(optimizer)
    kind = "Lbfgs" if isinstance(optimizer, LBFGS) else "Trainer"
    if kind == "Lbfgs":
        del how["l1"]
    bits = 32 if isinstance(net._engine, _core.Network32) else 64
    return getattr(_core, f"{kind}{bits}")(net._engine, **arguments, **how)


def _check_optimizer(optimizer: Any, net: Network) -> None:
    if not isinstance(optimizer, Optimizer) or type(optimizer) is Optimizer:
        raise TypeError(
            "optimizer must be an optimiser such as SGD(learning_rate=0.01), "
            f"got {shown(optimizer)} ({type(optimizer).__name__})"
        )
    _checked_rate(optimizer.first_rate, net)


def _check_smooth(net: Network, loss: Loss, l1: Any) -> None:
    """Whether L-BFGS can have a network, a loss and a penalty."""
    if isinstance(loss, CustomLoss):
        raise TypeError(
            "optimizer=LBFGS() evaluates the cost in the core, which knows the losses with a "
            "name alone: for a loss function take another optimiser, Adam or Rprop say"
        )
    if l1 != 0:
        raise ValueError(
            f"l1 must be 0 with LBFGS, got {l1!r}: |w| has a kink at 0, where its line search "
            "finds no way down; take l2, or another optimiser"
        )
    if any(layer.dropout for layer in net.layers):
        raise ValueError(
            "a layer has dropout, which makes every evaluation another function: LBFGS compares "
            "evaluations; take another optimiser, or dropout=0"
        )


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
