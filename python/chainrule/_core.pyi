"""Types of the compiled core; see the C++ sources for what it does."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

def build_info() -> dict[str, object]: ...
def get_isa() -> str: ...
def set_isa(name: str) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(k: int) -> None: ...
def permutation(seed: int, epoch: int, m: int) -> NDArray[np.int64]: ...
def uniform(seed: int, stream: int, size: int) -> NDArray[np.float64]: ...
def activation(name: str, z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]: ...

class Objective32:
    def __init__(
        self, loss: str, parameters: Sequence[float], reduction: str, outputs: int
    ) -> None: ...

class Objective64:
    def __init__(
        self, loss: str, parameters: Sequence[float], reduction: str, outputs: int
    ) -> None: ...

class Network32:
    def __init__(self, widths: Sequence[int], activations: Sequence[str]) -> None: ...
    @property
    def theta(self) -> NDArray[np.float32]: ...
    dropout: list[float]
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    def predict(self, X: NDArray[Any], out: NDArray[Any]) -> None: ...
    def try_predict(self, X: Any, out: Any, /) -> NDArray[Any] | None: ...
    def cost(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        objective: Objective32 = ...,
        weight: NDArray[Any] | None = None,
    ) -> float: ...
    def gradient(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        out: NDArray[Any],
        objective: Objective32 = ...,
        weight: NDArray[Any] | None = None,
    ) -> float: ...
    def trace(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        out: NDArray[Any],
        objective: Objective32 = ...,
        weight: NDArray[Any] | None = None,
    ) -> tuple[float, list[NDArray[Any]], list[NDArray[Any]], list[NDArray[Any]]]: ...

class Network64:
    def __init__(self, widths: Sequence[int], activations: Sequence[str]) -> None: ...
    @property
    def theta(self) -> NDArray[np.float64]: ...
    dropout: list[float]
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    def predict(self, X: NDArray[Any], out: NDArray[Any]) -> None: ...
    def try_predict(self, X: Any, out: Any, /) -> NDArray[Any] | None: ...
    def cost(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        objective: Objective64 = ...,
        weight: NDArray[Any] | None = None,
    ) -> float: ...
    def gradient(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        out: NDArray[Any],
        objective: Objective64 = ...,
        weight: NDArray[Any] | None = None,
    ) -> float: ...
    def trace(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        out: NDArray[Any],
        objective: Objective64 = ...,
        weight: NDArray[Any] | None = None,
    ) -> tuple[float, list[NDArray[Any]], list[NDArray[Any]], list[NDArray[Any]]]: ...

class Trainer32:
    def __init__(
        self,
        net: Network32,
        *,
        rule: str,
        learning_rate: float,
        momentum: float = 0,
        smoothing: float = 0,
        epsilon: float = 0,
        shrink: float = 0,
        grow: float = 0,
        least: float = 0,
        most: float = 0,
        weight_decay: float = 0,
        clip_value: float = ...,
        clip_norm: float = ...,
        l1: float = 0,
        l2: float = 0,
        per_row: bool = False,
        objective: Objective32 = ...,
    ) -> None: ...
    steps: int
    learning_rate: float
    @property
    def state(self) -> list[NDArray[np.float32]]: ...
    def set_penalties(self, l1: float, l2: float) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def set_seed(self, seed: int) -> None: ...
    def outputs(self, X: NDArray[Any]) -> NDArray[Any]: ...
    def step(
        self, X: NDArray[Any], Y: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> float: ...
    def try_step(self, X: Any, Y: Any, /) -> float | None: ...
    def fit(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        first_epoch: int,
        X_val: NDArray[Any] | None,
        Y_val: NDArray[Any] | None,
        on_epoch: Callable[[int, float, float], bool] | None,
        rates: NDArray[np.float64] | None = None,
        weight: NDArray[Any] | None = None,
        weight_val: NDArray[Any] | None = None,
    ) -> tuple[list[float], list[float], str]: ...

class Trainer64:
    def __init__(
        self,
        net: Network64,
        *,
        rule: str,
        learning_rate: float,
        momentum: float = 0,
        smoothing: float = 0,
        epsilon: float = 0,
        shrink: float = 0,
        grow: float = 0,
        least: float = 0,
        most: float = 0,
        weight_decay: float = 0,
        clip_value: float = ...,
        clip_norm: float = ...,
        l1: float = 0,
        l2: float = 0,
        per_row: bool = False,
        objective: Objective64 = ...,
    ) -> None: ...
    steps: int
    learning_rate: float
    @property
    def state(self) -> list[NDArray[np.float64]]: ...
    def set_penalties(self, l1: float, l2: float) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def set_seed(self, seed: int) -> None: ...
    def outputs(self, X: NDArray[Any]) -> NDArray[Any]: ...
    def step(
        self, X: NDArray[Any], Y: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> float: ...
    def try_step(self, X: Any, Y: Any, /) -> float | None: ...
    def fit(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        first_epoch: int,
        X_val: NDArray[Any] | None,
        Y_val: NDArray[Any] | None,
        on_epoch: Callable[[int, float, float], bool] | None,
        rates: NDArray[np.float64] | None = None,
        weight: NDArray[Any] | None = None,
        weight_val: NDArray[Any] | None = None,
    ) -> tuple[list[float], list[float], str]: ...

class Lbfgs32:
    def __init__(
        self,
        net: Network32,
        *,
        learning_rate: float,
        history_size: int,
        tolerance_grad: float,
        tolerance_change: float,
        max_line_search: int,
        l2: float = 0,
        per_row: bool = False,
        objective: Objective32 = ...,
    ) -> None: ...
    def set_state(self, arrays: Sequence[NDArray[np.float32]]) -> None: ...
    @property
    def evaluations(self) -> int: ...
    steps: int
    learning_rate: float
    @property
    def state(self) -> list[NDArray[np.float32]]: ...
    def set_penalties(self, l1: float, l2: float) -> None: ...
    def step(
        self, X: NDArray[Any], Y: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> float: ...
    def try_step(self, X: Any, Y: Any, /) -> None: ...
    def fit(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        first_epoch: int,
        X_val: NDArray[Any] | None,
        Y_val: NDArray[Any] | None,
        on_epoch: Callable[[int, float, float], bool] | None,
        rates: NDArray[np.float64] | None = None,
        weight: NDArray[Any] | None = None,
        weight_val: NDArray[Any] | None = None,
    ) -> tuple[list[float], list[float], str]: ...

class Lbfgs64:
    def __init__(
        self,
        net: Network64,
        *,
        learning_rate: float,
        history_size: int,
        tolerance_grad: float,
        tolerance_change: float,
        max_line_search: int,
        l2: float = 0,
        per_row: bool = False,
        objective: Objective64 = ...,
    ) -> None: ...
    def set_state(self, arrays: Sequence[NDArray[np.float64]]) -> None: ...
    @property
    def evaluations(self) -> int: ...
    steps: int
    learning_rate: float
    @property
    def state(self) -> list[NDArray[np.float64]]: ...
    def set_penalties(self, l1: float, l2: float) -> None: ...
    def step(
        self, X: NDArray[Any], Y: NDArray[Any], weight: NDArray[Any] | None = None
    ) -> float: ...
    def try_step(self, X: Any, Y: Any, /) -> None: ...
    def fit(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        epochs: int,
        batch_size: int,
        shuffle: bool,
        seed: int,
        first_epoch: int,
        X_val: NDArray[Any] | None,
        Y_val: NDArray[Any] | None,
        on_epoch: Callable[[int, float, float], bool] | None,
        rates: NDArray[np.float64] | None = None,
        weight: NDArray[Any] | None = None,
        weight_val: NDArray[Any] | None = None,
    ) -> tuple[list[float], list[float], str]: ...
