// Descent: one step on a batch, and epochs of mini-batches in one call. (GD) lives here.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "pace.hpp"
#include "passes.hpp"
#include "penalty.hpp"

namespace chainrule {

// Counter-based: every number is a pure function of its place, so nothing has to be saved.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);
void uniform(std::uint64_t seed, std::uint64_t stream, double* out, std::ptrdiff_t size);  // [0, 1)
void permutation(std::uint64_t seed, std::uint64_t epoch, std::int64_t* order, std::ptrdiff_t m);

// An update rule with its numbers, named as in PyTorch.
struct Optimizer {
  Rule rule = Rule::sgd;
  double learning_rate = 0.01;
  double momentum = 0;   // mu; beta_1 of adam, adamw
  double smoothing = 0;  // alpha of rmsprop; beta_2 of adam, adamw
  double epsilon = 0;
  double shrink = 0, grow = 0;  // eta- and eta+ of rprop
  double least = 0, most = 0;   // its bounds of a step
  double weight_decay = 0;
  double clip_value = std::numeric_limits<double>::infinity();  // of each slope
  double clip_norm = std::numeric_limits<double>::infinity();   // of the whole gradient
  double l1 = 0, l2 = 0;  // the cost has l1 sum |w| + l2 / 2 sum w^2 over all weights, not biases
  bool per_row = false;   // both divided by the number of rows of the batch, or their weights

  int states() const;
  bool penalises() const { return l1 != 0 || l2 != 0; }
  // Of a batch whose weights add up to so much; none where no row counts.
  double share_of_penalties(double weights) const {
    if (!per_row) return 1;
    return weights > 0 ? 1 / weights : 0;
  }
};
Rule rule_named(const std::string& name);  // std::invalid_argument lists the names
Optimizer sgd(double learning_rate, double momentum);

struct Plan {
  int epochs;
  std::ptrdiff_t batch_size;
  bool shuffle;
  std::uint64_t seed;
  std::uint64_t first_epoch;
  const double* rates = nullptr;  // one learning rate for each step; null: the optimiser's
};

// gradient, change, line_search: what ends L-BFGS.
enum class Stopped { epochs, callback, diverged, interrupted, gradient, change, line_search };

struct Report {
  std::vector<double> cost, val_cost;  // one per finished epoch
  Stopped stopped = Stopped::epochs;
};

// `epoch` is called after each epoch and returns true to stop; `poll` now and then during one,
// true to stop at the last finished step. Both run on the thread that called fit.
struct Observer {
  std::function<bool(int, double, double)> epoch;
  std::function<bool()> poll;
};

// Time between two looks at whether to stop.
constexpr auto kPollEvery = std::chrono::milliseconds(50);

// What a training needs beside theta and the optimiser's state. Kept with a network, the next
// training finds it there: taking tens of megabytes from the system costs as much as a step.
template <class T>
struct Workspace {
  std::unique_ptr<Passes<T>> passes;
  std::ptrdiff_t rows = 0;
  int threads = 0;
  Pace pace;  // of steps of so many rows
  std::ptrdiff_t paced_rows = 0;
  Buffer<T> start_theta, start_state[kMostStates];
  Buffer<T> gradient;      // all of it, where its norm is wanted
  Buffer<double> partial;  // sums of blocks of theta

  Passes<T>& passes_for(const Network<T>& net, std::ptrdiff_t batch_rows);
  void trim();  // gives large buffers back to the system
};

template <class T>
class Trainer {
 public:
  // With a workspace of its own, or one that nobody uses at the same time.
  Trainer(Network<T>& net, const Optimizer& optimizer, Workspace<T>* workspace = nullptr);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // One update on one batch; the cost before it. Not finite, for one because X or Y are not:
  // nothing was changed.
  double step(const Data<T>& batch);
  // The outputs that the next step has, dropout included.
  void outputs(const Data<T>& batch, T* out);
  Report fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
             const Observer& observer);
  // Bytes that a fit of m rows holds beside theta, the optimiser's state, and the costs it reports.
  std::ptrdiff_t fit_bytes(std::ptrdiff_t m, const Plan& plan);
  // The optimiser's state: its arrays (see CHAINRULE_RULES) and the number of steps done.
  int states() const { return optimizer_.states(); }
  Buffer<T>& state(int k) { return state_[k]; }
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }
  double learning_rate() const { return optimizer_.learning_rate; }
  void set_learning_rate(double rate) { optimizer_.learning_rate = rate; }
  void set_penalties(double l1, double l2) {
    optimizer_.l1 = l1;
    optimizer_.l2 = l2;
  }
  void set_seed(std::uint64_t seed) { seed_ = seed; }  // of dropout

 private:
  // The numbers of the step to come, with `share` of the penalties.
  Update<T> update(double scale, double share) const;
  void descend_apart(const Update<T>& of_weights, const Update<T>& of_biases, std::ptrdiff_t at,
                     const T* g, std::ptrdiff_t n);
  void descend(const Update<T>& update, std::ptrdiff_t at, const T* g, std::ptrdiff_t n);
  double penalty(const Team& team);
  std::uint64_t drop_key() const;
  // One pass and one step of it; theta_finite_ tells whether all of theta is finite still.
  template <class Interrupted>
  Outcome one_step(const Team& team, Passes<T>& passes, const Batch<T>& batch,
                   const Interrupted& interrupted);
  template <class Step>
  Outcome paced(std::ptrdiff_t m, std::ptrdiff_t usual, const Step& step);

  Network<T>& net_;
  Optimizer optimizer_;
  Buffer<T> state_[kMostStates];
  std::int64_t steps_ = 0;
  std::uint64_t seed_ = 0;
  const double* rates_ =
      nullptr;  // while a fit with a plan of them runs: that of step s is rates_[s]
  Workspace<T> own_;
  Workspace<T>& space_;
  std::atomic<bool> theta_finite_{true};
};

}  // namespace chainrule
