"""Dense neural networks on the CPU, in the notation of the lecture.

>>> import chainrule as cr
>>> net = cr.Network([cr.Dense(64, "relu"), cr.Dense(1)], n_inputs=10)
"""

from . import calculus, plot, reference
from ._core import __version__
from .columns import Encoder, Target
from .errors import DivergedError, FormatError
from .explanation import Explanation
from .gradcheck import GradientCheck, gradcheck
from .history import History
from .layers import Dense
from .losses import (
    MAE,
    MSE,
    BinaryCrossEntropy,
    CrossEntropy,
    CustomLoss,
    GaussianNLL,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
)
from .modelfile import load
from .network import Network
from .neuron import Neuron
from .optimizers import LBFGS, SGD, Adam, AdamW, RMSprop, Rprop
from .runtime import get_num_threads, info, set_isa, set_num_threads
from .scaling import Scaling
from .schedules import Cosine, OneCycle, ReduceOnPlateau, StepDecay, Warmup
from .stopping import EarlyStopping
from .trace import Gradient, Trace
from .training import Trainer

__all__ = [
    "LBFGS",
    "MAE",
    "MSE",
    "SGD",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Cosine",
    "CrossEntropy",
    "CustomLoss",
    "Dense",
    "DivergedError",
    "EarlyStopping",
    "Encoder",
    "Explanation",
    "FormatError",
    "GaussianNLL",
    "Gradient",
    "GradientCheck",
    "History",
    "Huber",
    "LogCosh",
    "Network",
    "Neuron",
    "OneCycle",
    "Poisson",
    "Quantile",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "Scaling",
    "StepDecay",
    "Target",
    "Trace",
    "Trainer",
    "Warmup",
    "__version__",
    "calculus",
    "get_num_threads",
    "gradcheck",
    "info",
    "load",
    "plot",
    "reference",
    "set_isa",
    "set_num_threads",
]
