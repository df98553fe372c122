// Descent: one step on a batch, and epochs of mini-batches in one call. (GD) lives here.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "passes.hpp"

namespace chainrule {

// Counter-based: every number is a pure function of its place, so nothing has to be saved.
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter);
void uniform(std::uint64_t seed, std::uint64_t stream, double* out, std::ptrdiff_t size);  // [0, 1)
void permutation(std::uint64_t seed, std::uint64_t epoch, std::int64_t* order, std::ptrdiff_t m);

struct Plan {
  int epochs;
  std::ptrdiff_t batch_size;
  bool shuffle;
  std::uint64_t seed;
  std::uint64_t first_epoch;
};

enum class Stopped { epochs, callback, diverged, interrupted };

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

// What a training needs beside theta and the optimiser's state. Kept with a network, the next
// training finds it there: taking tens of megabytes from the system costs as much as a step.
template <class T>
struct Workspace {
  std::unique_ptr<Passes<T>> passes;
  std::ptrdiff_t rows = 0;
  int threads = 0;
  Buffer<T> start_theta, start_velocity;
};

template <class T>
class Trainer {
 public:
  // With a workspace of its own, or one that nobody uses at the same time.
  Trainer(Network<T>& net, double learning_rate, double momentum,
          Workspace<T>* workspace = nullptr);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // One update on one batch; the cost before it. Not finite: nothing was changed.
  double step(const Data<T>& batch);
  Report fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
             const Observer& observer);
  // Bytes that a fit of m rows holds beside theta, the optimiser's state, and the costs it reports.
  std::ptrdiff_t fit_bytes(std::ptrdiff_t m, const Plan& plan);
  Buffer<T>& velocity() { return velocity_; }

 private:
  Passes<T>& passes(std::ptrdiff_t batch_rows);
  void descend(std::ptrdiff_t at, const T* g, std::ptrdiff_t n);

  Network<T>& net_;
  T learning_rate_, momentum_;
  Buffer<T> velocity_;
  Workspace<T> own_;
  Workspace<T>& space_;
  std::atomic<bool> theta_finite_{true};
};

}  // namespace chainrule
