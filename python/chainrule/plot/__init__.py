"""Pictures: each function returns a matplotlib figure, and saves it when `path` is given.

Of a training `learning_curves` and `cost`; of its result `predictions`, `confusion_matrix` and
`calibration`; of a network `plane`, `network`, `weights`, `magnitudes` and `v_curve`; `errors` of
a gradient check. They need the extra `plot`; matplotlib is imported by the first picture, not by
this package. Called by users, `History.plot`, `GradientCheck.plot` and the command line.
"""

from .checks import errors
from .classification import calibration, confusion_matrix
from .curves import SIGNATURE, cost
from .differences import v_curve
from .graphs import network
from .layers import magnitudes
from .learning import learning_curves
from .matrices import weights
from .planes import plane
from .predictions import predictions

__all__ = [
    "SIGNATURE",
    "calibration",
    "confusion_matrix",
    "cost",
    "errors",
    "learning_curves",
    "magnitudes",
    "network",
    "plane",
    "predictions",
    "v_curve",
    "weights",
]
