"""Dense neural networks on the CPU, in the notation of the lecture.

>>> import chainrule as cr
>>> net = cr.Network([cr.Dense(64, "relu"), cr.Dense(1)], n_inputs=10)
"""

from . import calculus, reference
from ._core import __version__
from .errors import DivergedError, FormatError
from .gradcheck import GradientCheck, gradcheck
from .layers import Dense
from .losses import MSE
from .modelfile import load
from .network import Gradient, Network, Trace
from .optimizers import SGD
from .runtime import get_num_threads, info, set_isa, set_num_threads
from .scaling import Scaling
from .training import History, Trainer

__all__ = [
    "MSE",
    "SGD",
    "Dense",
    "DivergedError",
    "FormatError",
    "Gradient",
    "GradientCheck",
    "History",
    "Network",
    "Scaling",
    "Trace",
    "Trainer",
    "__version__",
    "calculus",
    "get_num_threads",
    "gradcheck",
    "info",
    "load",
    "reference",
    "set_isa",
    "set_num_threads",
]
