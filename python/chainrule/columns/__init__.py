"""From a table to X and Y: `Encoder` for the inputs, `Target` for what is to be learnt.

Both are fitted on the training rows, never change afterwards, find their columns by name, and turn
into JSON, so that a model can carry them in its metadata. A table is whatever `tables.frame` takes.
Called by users and by the command line.
"""

from .encoder import MISSING, UNKNOWN, Encoder
from .inputs import Category, Number
from .target import MOST_CLASSES, ROWS_PER_CLASS, TASKS, Target

__all__ = [
    "MISSING",
    "MOST_CLASSES",
    "ROWS_PER_CLASS",
    "TASKS",
    "UNKNOWN",
    "Category",
    "Encoder",
    "Number",
    "Target",
]
