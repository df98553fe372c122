"""Who takes part: a class for each way to do it, a row of CANDIDATES for each name in the tables.

A candidate is made from (problem, threads). What is its own business is done there: copies of the
weights in its layout, compilation. Then it may be asked to

    steps(n)           train n steps on the one batch; the whole batch is one step
    parameters()       W^1, b^1, W^2, ... as they are now, W^l of shape (n_l, n_{l-1})
    stage(X)           X as it wants it
    predict(staged)    the output, complete on return, as anything that np.asarray takes
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

import chainrule as cr

from .workloads import LEARNING_RATE, Array, Problem


class Candidate(Protocol):
    def steps(self, n: int) -> None: ...
    def parameters(self) -> list[Array]: ...
    def stage(self, X: Array) -> Any: ...
    def predict(self, staged: Any) -> Any: ...


@dataclass(frozen=True)
class Row:
    name: str
    make: Callable[[Problem, int], Candidate]
    needs: tuple[str, ...] = ()  # modules, besides NumPy and chainrule
    program: str = ""  # a command that it calls
    trains: bool = True
    predicts: bool = True

    @property
    def tasks(self) -> list[str]:
        return ["step"] * self.trains + ["batch", "row"] * self.predicts

    def missing(self) -> str:
        """Why it cannot take part; empty when it can."""
        for module in self.needs:
            if find_spec(module) is None:
                return f"no module {module}"
        if self.program and shutil.which(self.program) is None:
            return f"no command {self.program}"
        return ""


class Chainrule:
    """`Network.fit` on one batch, one epoch per step: the whole run is one call."""

    def __init__(self, problem: Problem, threads: int) -> None:
        cr.set_num_threads(threads)
        widths, activation = problem.workload.widths, problem.workload.activation
        hidden = [cr.Dense(n, activation) for n in widths[1:-1]]
        self.net = cr.Network([*hidden, cr.Dense(widths[-1])], widths[0])
        for l, (W, b) in enumerate(zip(problem.W, problem.b, strict=True), start=1):
            self.net.W[l] = W
            self.net.b[l] = b
        self.X, self.Y = problem.X, problem.Y

    def steps(self, n: int) -> None:
        # Many epochs over one batch; the batch is laid out again for each, as in any training.
        self.net.fit(
            self.X,
            self.Y,
            epochs=n,
            batch_size=len(self.X),
            optimizer=cr.SGD(LEARNING_RATE),
            shuffle=False,
        )

    def parameters(self) -> list[Array]:
        return [p for pair in zip(self.net.W, self.net.b, strict=True) for p in pair]

    def stage(self, X: Array) -> Array:
        return X

    def predict(self, staged: Array) -> Array:
        return self.net.predict(staged)


class Numpy:
    """The step as one writes it with care: no temporary that can be avoided."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.W = [W.T.copy() for W in problem.W]
        self.b = [b.copy() for b in problem.b]
        self.X, self.Y, self.tanh = problem.X, problem.Y, problem.tanh

    def steps(self, n: int) -> None:
        for _ in range(n):
            self.step()

    def step(self) -> None:
        a = self.forward(self.X)
        delta = a[-1] - self.Y
        delta *= np.float32(2 / delta.size)
        for l in range(len(self.W) - 1, -1, -1):
            dW, db = a[l].T @ delta, delta.sum(axis=0)
            if l > 0:
                delta = delta @ self.W[l].T
                if self.tanh:
                    delta *= 1 - a[l] * a[l]
                else:
                    delta *= a[l] > 0
            dW *= np.float32(LEARNING_RATE)
            db *= np.float32(LEARNING_RATE)
            self.W[l] -= dW
            self.b[l] -= db

    def forward(self, X: Array) -> list[Array]:
        a = [X]
        last = len(self.W) - 1
        for l, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            z = a[-1] @ W
            z += b
            if l < last:
                if self.tanh:
                    np.tanh(z, out=z)
                else:
                    np.maximum(z, 0, out=z)
            a.append(z)
        return a

    def parameters(self) -> list[Array]:
        return [p for W, b in zip(self.W, self.b, strict=True) for p in (W.T, b)]

    def stage(self, X: Array) -> Array:
        return X

    def predict(self, staged: Array) -> Array:
        return self.forward(staged)[-1]


class TorchEager:
    """Modules, autograd and `optim.SGD`, as in its tutorials."""

    def __init__(self, problem: Problem, threads: int) -> None:
        torch = import_module("torch")
        torch.set_num_threads(threads)
        self.torch = torch
        layers: list[Any] = []
        for W, b in zip(problem.W, problem.b, strict=True):
            layer = torch.nn.Linear(W.shape[1], W.shape[0])
            layer.weight.data = torch.tensor(W)
            layer.bias.data = torch.tensor(b)
            layers += [layer, torch.nn.Tanh() if problem.tanh else torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        self.loss = torch.nn.MSELoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE)
        self.X, self.Y = torch.tensor(problem.X), torch.tensor(problem.Y)

    def steps(self, n: int) -> None:
        for _ in range(n):
            self.optimizer.zero_grad()
            self.loss(self.model(self.X), self.Y).backward()
            self.optimizer.step()

    def parameters(self) -> list[Array]:
        return [p.detach().numpy() for p in self.model.parameters()]

    def stage(self, X: Array) -> Any:
        return self.torch.tensor(X)

    def predict(self, staged: Any) -> Any:
        with self.torch.inference_mode():
            return self.model(staged)


class TorchCompiled:
    """The whole step, update included, as one compiled graph: `torch.func.grad` under compile.

    Compiling the loss of a module and calling `backward` and the optimizer from Python is what
    tutorials do; on small networks that is several times slower than this.
    """

    def __init__(self, problem: Problem, threads: int) -> None:
        torch = import_module("torch")
        torch.set_num_threads(threads)
        torch.compiler.reset()  # or it gives up on recompiling after some workloads
        self.torch, functional = torch, torch.nn.functional
        activation = torch.tanh if problem.tanh else torch.relu
        self.theta = [
            (torch.tensor(W), torch.tensor(b)) for W, b in zip(problem.W, problem.b, strict=True)
        ]
        self.X, self.Y = torch.tensor(problem.X), torch.tensor(problem.Y)

        def forward(theta: Any, X: Any) -> Any:
            for W, b in theta[:-1]:
                X = activation(functional.linear(X, W, b))
            return functional.linear(X, *theta[-1])

        def cost(theta: Any, X: Any, Y: Any) -> Any:
            return functional.mse_loss(forward(theta, X), Y)

        def step(theta: Any, X: Any, Y: Any) -> None:
            for (W, b), (dW, db) in zip(theta, torch.func.grad(cost)(theta, X, Y), strict=True):
                W.sub_(LEARNING_RATE * dW)
                b.sub_(LEARNING_RATE * db)

        self.step = torch.compile(step, fullgraph=True, dynamic=False)
        self.forward = torch.compile(forward, fullgraph=True, dynamic=False)

    def steps(self, n: int) -> None:
        for _ in range(n):
            self.step(self.theta, self.X, self.Y)

    def parameters(self) -> list[Array]:
        return [p.numpy() for pair in self.theta for p in pair]

    def stage(self, X: Array) -> Any:
        return self.torch.tensor(X)

    def predict(self, staged: Any) -> Any:
        return self.forward(self.theta, staged)


class Jax:
    """The whole step in one `jit`; with `scan`, all steps of a run in one."""

    def __init__(self, problem: Problem, threads: int, scan: bool) -> None:
        jax = import_module("jax")
        jnp = import_module("jax.numpy")
        activation = jnp.tanh if problem.tanh else jax.nn.relu
        self.asarray = jnp.asarray
        self.theta = [
            (jnp.array(W.T), jnp.array(b)) for W, b in zip(problem.W, problem.b, strict=True)
        ]
        self.X, self.Y = jnp.asarray(problem.X), jnp.asarray(problem.Y)

        def forward(theta: Any, X: Any) -> Any:
            for W, b in theta[:-1]:
                X = activation(X @ W + b)
            W, b = theta[-1]
            return X @ W + b

        def cost(theta: Any, X: Any, Y: Any) -> Any:
            return jnp.mean((forward(theta, X) - Y) ** 2)

        def step(theta: Any, X: Any, Y: Any) -> Any:
            gradient = jax.grad(cost)(theta, X, Y)
            return jax.tree.map(lambda p, dp: p - LEARNING_RATE * dp, theta, gradient)

        def scanned(theta: Any, X: Any, Y: Any, n: int) -> Any:
            body = lambda theta, _: (step(theta, X, Y), None)  # noqa: E731
            return jax.lax.scan(body, theta, None, length=n)[0]

        self.scan = scan
        self.forward = jax.jit(forward)
        self.step = jax.jit(step, donate_argnums=0)
        self.scanned = jax.jit(scanned, static_argnums=3, donate_argnums=0)
        self.wait = jax.block_until_ready

    def steps(self, n: int) -> None:
        if self.scan:
            self.theta = self.scanned(self.theta, self.X, self.Y, n)
        else:
            for _ in range(n):
                self.theta = self.step(self.theta, self.X, self.Y)
        self.wait(self.theta)

    def parameters(self) -> list[Array]:
        return [np.asarray(p) for W, b in self.theta for p in (W.T, b)]

    def stage(self, X: Array) -> Any:
        return self.asarray(X)

    def predict(self, staged: Any) -> Any:
        return self.forward(self.theta, staged).block_until_ready()


class ScikitLearn:
    """`MLPRegressor.fit`, n epochs over one batch in one call.

    Its loss is half the sum over the outputs, the mean over the rows: the rate makes up for that.
    """

    def __init__(self, problem: Problem, threads: int) -> None:
        neural = import_module("sklearn.neural_network")
        workload = problem.workload
        one_output = workload.widths[-1] == 1
        self.X, self.Y = problem.X, problem.Y[:, 0] if one_output else problem.Y
        self.model = neural.MLPRegressor(
            hidden_layer_sizes=workload.widths[1:-1],
            activation=workload.activation,
            solver="sgd",
            alpha=0.0,
            batch_size=workload.batch,
            learning_rate="constant",
            learning_rate_init=LEARNING_RATE * 2 / workload.widths[-1],
            shuffle=False,
            tol=0.0,
            n_iter_no_change=np.inf,
            momentum=0.0,
            nesterovs_momentum=False,
            warm_start=True,
        )
        self.model.partial_fit(self.X, self.Y)  # makes the arrays that hold the weights
        pairs = zip(self.model.coefs_, self.model.intercepts_, problem.W, problem.b, strict=True)
        for coef, intercept, W, b in pairs:
            coef[...], intercept[...] = W.T, b

    def steps(self, n: int) -> None:
        self.model.max_iter = n
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that n epochs were not enough
            self.model.fit(self.X, self.Y)

    def parameters(self) -> list[Array]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [p for W, b in pairs for p in (W.T, b)]

    def stage(self, X: Array) -> Array:
        return X

    def predict(self, staged: Array) -> Any:
        return self.model.predict(staged)


class OnnxRuntime:
    """A session on a model of Gemm and activation nodes; it cannot train."""

    def __init__(self, problem: Problem, threads: int) -> None:
        onnx = import_module("onnx")
        runtime = import_module("onnxruntime")
        make, tensor = onnx.helper, onnx.numpy_helper.from_array
        nodes, values, name = [], [], "X"
        for l, (W, b) in enumerate(zip(problem.W, problem.b, strict=True), start=1):
            values += [tensor(np.ascontiguousarray(W.T), f"W{l}"), tensor(b, f"b{l}")]
            nodes.append(make.make_node("Gemm", [name, f"W{l}", f"b{l}"], [f"z{l}"]))
            name = f"z{l}"
            if l < len(problem.W):
                nodes.append(make.make_node("Tanh" if problem.tanh else "Relu", [name], [f"a{l}"]))
                name = f"a{l}"
        widths, kind = problem.workload.widths, onnx.TensorProto.FLOAT
        ends = [
            [make.make_tensor_value_info(end, kind, [None, n])]
            for end, n in (("X", widths[0]), (name, widths[-1]))
        ]
        model = make.make_model(
            make.make_graph(nodes, "network", *ends, values),
            opset_imports=[make.make_opsetid("", 13)],
            ir_version=8,
        )
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads  # they spin for 40 ms after a call; the pause is 100
        options.inter_op_num_threads = 1
        self.session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def steps(self, n: int) -> None:
        raise NotImplementedError("onnxruntime does not train here")

    def parameters(self) -> list[Array]:
        raise NotImplementedError("onnxruntime does not train here")

    def stage(self, X: Array) -> dict[str, Array]:
        return {"X": X}

    def predict(self, staged: dict[str, Array]) -> Any:
        return self.session.run(None, staged)[0]


CHAINRULE = "chainrule"
CANDIDATES = (
    Row(CHAINRULE, Chainrule),
    Row("NumPy by hand", Numpy),
    Row("PyTorch", TorchEager, ("torch",)),
    Row("torch.compile", TorchCompiled, ("torch",), program="g++"),
    Row("JAX jit", partial(Jax, scan=False), ("jax",)),
    Row("JAX scan", partial(Jax, scan=True), ("jax",), predicts=False),
    Row("scikit-learn", ScikitLearn, ("sklearn",)),
    Row("onnxruntime", OnnxRuntime, ("onnx", "onnxruntime"), trains=False),
)
