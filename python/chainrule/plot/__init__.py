"""Pictures: each function returns a matplotlib figure, and saves it when `path` is given.

`cost`, `plane`, `network`, `weights`, `magnitudes`, `v_curve`, and `errors` of a gradient check.
They need the extra `plot`; matplotlib is imported by the first picture, not by this package. Called
by users, `History.plot`, `GradientCheck.plot` and the command line.
"""

from .checks import errors
from .curves import SIGNATURE, cost
from .differences import v_curve
from .graphs import network
from .layers import magnitudes
from .matrices import weights
from .planes import plane

__all__ = ["SIGNATURE", "cost", "errors", "magnitudes", "network", "plane", "v_curve", "weights"]
