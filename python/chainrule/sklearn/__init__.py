"""Estimators for scikit-learn (extra `sklearn`): its MLPs' parameters and attributes, our core.

>>> from chainrule.sklearn import MLPRegressor
>>> MLPRegressor(hidden_layer_sizes=(32, 32), random_state=0)
MLPRegressor(hidden_layer_sizes=(32, 32), random_state=0)

From the same weights, without shuffling, they take the same steps as scikit-learn's MLPs. What
differs:

- Weights start as those of `chainrule.Network`, biases at 0; the order of rows is a function of
  random_state and the epoch alone. The same int gives the same bits everywhere.
- With several outputs scikit-learn steps along the number of outputs times the gradient of its
  squared error; here it is the gradient. For the steps that it takes: loss=MSE("mean_rows"), half
  the learning rate and twice alpha.
- Adam's epsilon is added after the moments are corrected, as in the paper; scikit-learn adds it
  before. "lbfgs" is chainrule's line search, not SciPy's.
- warm_start and pickles keep the state of the solver: 10 epochs and 10 more are the bits of 20.
- A rate that is too large raises `DivergedError`, not ValueError.
- Sparse X is made dense. A batch_size beyond the rows means all, without a warning.
- The loss of "poisson" has no y log y - y. Probabilities are never exactly 0 or 1.
"""

try:
    import sklearn as _sklearn  # scikit-learn itself: imports are absolute
except ImportError as error:
    raise ImportError(
        "chainrule.sklearn needs scikit-learn 1.6 or newer: pip install 'chainrule[sklearn]'"
    ) from error

from .classifier import MLPClassifier
from .conversion import from_sklearn
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]

del _sklearn
