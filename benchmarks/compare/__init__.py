"""One training step and one prediction, side by side: chainrule and its peers, in one run.

Every candidate gets the same weights, data and learning rate, float32, mean squared error over all
elements, plain gradient descent. Its predictions and its weights after three steps are held against
float64 before it is timed; one that fails is reported as WRONG and not timed, one that is not
installed is named and left out.

Each number of threads has a process of its own, because the libraries read theirs when they start:
one thread is pinned to one core, two to two. In it all candidates of a workload are timed in
interleaved rounds, and the multiply-add peak, the roof, is measured beside them.
"""
