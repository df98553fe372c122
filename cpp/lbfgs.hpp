// L-BFGS for a network: its cost over a whole data set, handed to the minimiser.
#pragma once

#include "minimiser.hpp"
#include "training.hpp"

namespace chainrule {

// The cost grows by l2 / 2 sum w^2 over all weights, not biases; divided by the number of rows, or
// their weights, where per_row.
struct Decay {
  double l2 = 0;
  bool per_row = false;
};

// What Trainer offers, on full batches: an epoch is one iteration.
template <class T>
class Lbfgs {
 public:
  Lbfgs(Network<T>& net, const LbfgsOptions& options, const Decay& decay = {},
        Workspace<T>* workspace = nullptr);
  Lbfgs(const Lbfgs&) = delete;
  Lbfgs& operator=(const Lbfgs&) = delete;

  // One iteration; the cost before it. Not finite, or nothing lower is found: nothing was changed.
  double step(const Data<T>& data);
  // Of the plan only the number of epochs counts. The costs are those after each iteration.
  Report fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
             const Observer& observer);
  // The optimiser's state: s and y of the oldest pair, of the next one, and so on.
  int states() const { return 2 * minimiser_.pairs(); }
  T* state(int k) { return k % 2 == 0 ? minimiser_.s(k / 2) : minimiser_.y(k / 2); }
  // Goes on from a state that was read; false where it cannot be one.
  bool set_state(const std::vector<const T*>& arrays);
  std::int64_t steps() const { return minimiser_.iterations(); }
  void set_steps(std::int64_t steps) { minimiser_.set_iterations(steps); }
  std::int64_t evaluations() const { return minimiser_.evaluations(); }
  void set_decay(double l2) { decay_.l2 = l2; }
  double learning_rate() const { return minimiser_.options.learning_rate; }
  void set_learning_rate(double rate) { minimiser_.options.learning_rate = rate; }

 private:
  // The cost of the network as it is, and its gradient; infinite where it cannot be had.
  template <class Interrupted>
  double evaluate(const Team& team, Passes<T>& passes, const Data<T>& data, T* g,
                  const Interrupted& interrupted);

  Network<T>& net_;
  Minimiser<T> minimiser_;
  Decay decay_;
  Workspace<T> own_;
  Workspace<T>& space_;
};

}  // namespace chainrule
