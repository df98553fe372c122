"""What both estimators share: parameters, attributes, and the way from `fit` into the core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..errors import DivergedError, shown, whole_number
from ..layers import Dense
from ..network import Network
from ..optimizers import Optimizer
from ..training import Trainer
from . import settings
from .fitted import Fitted, dense
from .resume import resumed, snapshot
from .watch import Standing, Watch

Array = NDArray[Any]
Rows = tuple[Array, Array, Array | None]  # X, targets, weights


@dataclass(kw_only=True, eq=False, repr=False)
class MLP(Fitted, BaseEstimator):
    """The parameters that both estimators have; see `MLPRegressor`."""

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    solver: str | Optimizer = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: Any = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    dtype: str = "float64"
    scale: str | None = None
    l1: float = 0.0
    dropout: Any = 0.0
    metrics: Any = ()
    callbacks: Any = ()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # What each kind answers for itself.

    _numeric_targets = False

    def _targets(self, y: Any, *, learn: bool) -> Array:
        """Checked y as the targets (m, columns) of the network; learns the labels if asked."""
        raise NotImplementedError

    def _quick_targets(self, y: Any, rows: int) -> Array | None:
        """y as targets where that is clear at a glance; None: it needs a closer look."""
        return None

    def _objective(self) -> Any:
        """The loss."""
        raise NotImplementedError

    def _sample_weights(self, y: Any, weight: Array | None, step: bool) -> Array | None:
        """The weights of the samples, with those of their classes."""
        return weight

    def _score_of(self, a: Array, targets: Array, weight: Array | None) -> float:
        """How good the network's outputs a are; the larger the better."""
        raise NotImplementedError

    # From here on the same for both.

    def _can_partial_fit(self) -> bool:
        if not settings.is_stochastic(self.solver):
            raise AttributeError(
                f"partial_fit needs a solver that takes batches, got solver={self.solver!r}"
            )
        if self.early_stopping:
            raise AttributeError("partial_fit cannot stop early: it needs early_stopping=False")
        return True

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any = None, *, step: bool = False
    ) -> None:
        """Train; `step`: one epoch that goes on from where the estimator is."""
        first = not hasattr(self, "network_") or not (self.warm_start or step)
        before = dict(self.__dict__)
        try:
            settings.check(self)
            rule, hidden = settings.update_rule(self), settings.hidden_layers(self)
            if not first:
                settings.check_unchanged(self, hidden)
            train = self._rows(X, y, sample_weight, first=first, step=step)
            seed = self._seed_of(first)
            held = self._held_out(validation_data)
            if held is None and self.early_stopping:
                train, held = self._split(train, seed)
            net = self._network(hidden, train, seed) if first else self._checked_network(train)
            self._train(net, rule, train, held, seed, first=first, step=step)
        except BaseException:
            if first:  # a network that was there stays as it was, and all that belongs to it
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _train(
        self,
        net: Network,
        rule: Optimizer,
        train: Rows,
        held: Rows | None,
        seed: int,
        *,
        first: bool,
        step: bool,
    ) -> None:
        """The call of the core, and what is kept of it."""
        X, targets, weight = train
        batch = settings.batch_rows(self, rule, len(X))
        trainer = self._next_trainer(net, rule, first)
        standing = Standing() if first else self._standing
        watch = Watch(self, trainer, standing, len(X), self._scorer(held))
        self._seed, self._trainer, self._standing = seed, trainer, standing
        interrupted = False
        try:
            history = trainer.fit(
                X,
                targets,
                epochs=1 if step else self.max_iter,
                batch_size=batch,
                shuffle=bool(self.shuffle),
                seed=seed,
                validation_data=_given(held),
                callbacks=(watch, *self.callbacks),
                sample_weight=weight,
                metrics=self.metrics,
                scale=self.scale if first else None,
            )
        except KeyboardInterrupt:
            if watch.history is None:
                raise
            history, interrupted = watch.history, True
        watch.restore()
        self._say(history, watch, self._objective(), net)
        self._warn(interrupted, watch, step, X)

    def _next_trainer(self, net: Network, rule: Optimizer, first: bool) -> Trainer:
        """The trainer of the last fit, as long as it is still the right one; else a new one."""
        last, loss = None if first else getattr(self, "_trainer", None), self._objective()
        its_own = (rule, loss, self.l1, self.alpha)
        if isinstance(last, Trainer):
            if last.net is net and self._made_for == its_own:
                return last
            last = snapshot(last)
        self._made_for = its_own
        return resumed(Trainer(net, rule, loss, l1=self.l1, l2=self.alpha, per_row=True), last)

    def _rows(self, X: Any, y: Any, weight: Any, *, first: bool, step: bool) -> Rows:
        """X, y and the weights checked and encoded."""
        if step and weight is None and not first and self._takes(X):
            targets = self._quick_targets(y, len(X))
            if targets is not None:
                return X, targets, None
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._numeric_targets,
            # What is standardised inside the network loses no digits before.
            dtype=np.dtype("float64" if self.scale else self.dtype),
            order="C",
            reset=first,
        )
        if weight is not None:
            weight = _check_sample_weight(weight, X, dtype=X.dtype, ensure_non_negative=True)
        targets = self._targets(y, learn=first and not step)
        weight = self._sample_weights(y, weight, step)
        if weight is not None and not weight.any():
            raise ValueError("sample_weight and class_weight must not be 0 for all samples")
        return dense(X), np.ascontiguousarray(targets, X.dtype), weight

    def _held_out(self, data: Any) -> Rows | None:
        if data is None:
            return None
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError(
                "validation_data must be a tuple (X, y) or (X, y, sample_weight), "
                f"got {shown(data)} ({type(data).__name__})"
            )
        weight = data[2] if len(data) == 3 else None
        return self._rows(data[0], data[1], weight, first=False, step=False)

    def _split(self, rows: Rows, seed: int) -> tuple[Rows, Rows]:
        """Rows to train on, and those that `validation_fraction` holds out."""
        X, targets, weight = rows
        by_class = not self._numeric_targets and targets.shape[1] == 1
        given = [array for array in rows if array is not None]
        parts = train_test_split(
            *given,
            test_size=self.validation_fraction,
            random_state=seed % 2**32,
            stratify=targets if by_class else None,
        )
        if len(parts[1]) < 2:
            raise ValueError(
                f"early_stopping holds out {len(parts[1])} of {len(X)} rows; 2 are needed: "
                f"validation_fraction (it is {self.validation_fraction}) must be larger"
            )
        weights = (None, None) if weight is None else (parts[4], parts[5])
        for side, part in zip(("left to train on", "held out"), weights, strict=True):
            if part is not None and not part.any():
                raise ValueError(
                    f"early_stopping: sample_weight (or class_weight) is 0 in all {len(part)} rows "
                    f"that are {side}; another random_state or validation_fraction draws others, "
                    "or give validation_data"
                )
        return (parts[0], parts[2], weights[0]), (parts[1], parts[3], weights[1])

    def _network(self, hidden: list[Dense], train: Rows, seed: int) -> Network:
        X, targets, _ = train
        units = settings.output_units(self._objective(), targets.shape[1])
        return Network([*hidden, Dense(units)], X.shape[1], self.dtype, seed)

    def _checked_network(self, train: Rows) -> Network:
        """The network that there is, if the targets fit it."""
        units = settings.output_units(self._objective(), train[1].shape[1])
        if units != self.network_.n[-1]:
            raise ValueError(
                f"y has {train[1].shape[1]} columns, which need {units} outputs; the fitted "
                f"network has {self.network_.n[-1]}: warm_start and partial_fit cannot change that"
            )
        return self.network_

    def _seed_of(self, first: bool) -> int:
        if not first and hasattr(self, "_seed"):
            return int(self._seed)
        if isinstance(self.random_state, (int, np.integer)):
            return whole_number(self.random_state, "random_state", least=0)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _scorer(self, held: Rows | None) -> Any:
        if held is None or not self.early_stopping:
            return None
        X, targets, weight = held

        def score(net: Network) -> float:
            try:
                return self._score_of(net.predict(X), targets, weight)
            except DivergedError:
                return float("nan")

        return score

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(state.get("_trainer"), Trainer):
            state["_trainer"] = snapshot(state["_trainer"])
        return state


def _given(held: Rows | None) -> Any:
    if held is None:
        return None
    return held[:2] if held[2] is None else held
