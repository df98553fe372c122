"""Pictures: each function returns a matplotlib figure, and saves it when `path` is given.

`cost`, `plane`, `network`, `weights`, `magnitudes` and `v_curve`. They need the extra `plot`;
matplotlib is imported by the first picture, not by this package. Called by users, `History.plot`
and the command line.
"""

from .curves import SIGNATURE, cost
from .differences import v_curve
from .graphs import network
from .layers import magnitudes
from .matrices import weights
from .planes import plane

__all__ = ["SIGNATURE", "cost", "magnitudes", "network", "plane", "v_curve", "weights"]
