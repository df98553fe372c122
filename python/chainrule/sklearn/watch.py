"""What is done after each epoch: the score, the learning rate, and whether to stop.

The rules are scikit-learn's, so that `tol`, `n_iter_no_change`, `early_stopping` and
`learning_rate` mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..optimizers import LBFGS, SGD

if TYPE_CHECKING:
    from ..history import History
    from ..network import Network
    from ..training import Trainer

LEAST_RATE = 1e-6  # an adaptive learning rate that is as small as this is not divided any more
DIVISOR = 5.0


@dataclass
class Standing:
    """What is remembered from fit to fit, so that 10 epochs and 10 more are as 20."""

    loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    waited: int = 0
    rows_seen: int = 0


class Watch:
    """The callback of one fit.

    Parameters
    ----------
    estimator : MLPRegressor or MLPClassifier
        For tol, n_iter_no_change, learning_rate, power_t and verbose.
    trainer : Trainer
    standing : Standing
        Goes on from where it is.
    rows : int
        Rows of one epoch.
    score : callable or None
        score(net) of the validation rows, the larger the better; None: the loss decides.
    """

    def __init__(
        self,
        estimator: Any,
        trainer: Trainer,
        standing: Standing,
        rows: int,
        score: Callable[[Network], float] | None,
    ) -> None:
        self.standing, self.score = standing, score
        self.history: History | None = None
        self.reason = ""
        self.spent = False  # max_fun is reached
        self._trainer, self._rows = trainer, rows
        self._tol, self._patience = float(estimator.tol), float(estimator.n_iter_no_change)
        self._verbose = bool(estimator.verbose)
        self._power = float(estimator.power_t)
        sgd = isinstance(trainer.optimizer, SGD)
        self._course = estimator.learning_rate if sgd else "constant"
        self._first_rate = trainer.optimizer.first_rate
        # A line search knows itself when it has converged; it counts its evaluations.
        self._searches = isinstance(trainer.optimizer, LBFGS)
        self._most = estimator.max_fun + trainer._engine.evaluations if self._searches else 0
        if self._searches and score is None:
            self._patience = math.inf
        self._best = None if score is None else trainer.net.theta.copy()

    def __call__(self, net: Network, history: History) -> bool:
        """After an epoch; True to stop."""
        now, loss = self.standing, history.cost[-1]
        self.history = history
        now.loss_curve.append(loss)
        now.rows_seen += self._rows
        if self.score is None:
            fell = loss <= now.best_loss - self._tol
            now.best_loss = min(now.best_loss, loss)
        else:
            fell = self._look(self.score(net))
        now.waited = 0 if fell else now.waited + 1
        if self._verbose:
            self._print(len(history.cost), loss)
        if self._course == "invscaling":
            self._set_rate(self._first_rate / (now.rows_seen + 1) ** self._power)
        if self._searches and self._trainer._engine.evaluations >= self._most:
            self.spent = True
            self.reason = "All max_fun evaluations of the loss are spent."
            return True
        return now.waited > self._patience and self._stops()

    def restore(self) -> None:
        """Give the network the parameters with the best score, where there is a score."""
        if self._best is not None:
            self._trainer.net.theta[...] = self._best

    def _look(self, score: float) -> bool:
        now = self.standing
        now.scores.append(score)
        rose = score >= now.best_score + self._tol
        if score > now.best_score:
            now.best_score = score
            assert self._best is not None
            self._best[...] = self._trainer.net.theta
        return rose

    def _stops(self) -> bool:
        rate = self._trainer.learning_rate
        if self._course == "adaptive" and rate > LEAST_RATE:
            self._set_rate(rate / DIVISOR)
            self.standing.waited = 0
            if self._verbose:
                print(f"The learning rate is {rate / DIVISOR:g} from here on.")
            return False
        what, rise = ("loss", "fallen") if self.score is None else ("validation score", "risen")
        best = self.standing.best_loss if self.score is None else self.standing.best_score
        self.reason = (
            f"The {what} has not {rise} by more than tol={self._tol:g} in {self.standing.waited} "
            f"epochs; the best was {best:.6g}."
        )
        if self._verbose:
            print(self.reason)
        return True

    def _set_rate(self, rate: float) -> None:
        """From the next step on; what has gathered as velocity stays a step of the old rate."""
        if self._trainer.state:
            self._trainer.state[0][...] *= self._trainer.learning_rate / rate
        self._trainer.learning_rate = rate

    def _print(self, epoch: int, loss: float) -> None:
        text = f"Epoch {epoch}: loss {loss:.8f}"
        if self.score is not None:
            text += f", validation score {self.standing.scores[-1]:.6f}"
        print(text)


def weighted_mean(values: NDArray[Any], weight: NDArray[Any] | None) -> float:
    """The mean of one value for each row."""
    return float(np.average(values, weights=weight))
