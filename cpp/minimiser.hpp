// The minimum of a function of many numbers whose gradient is known: L-BFGS, the two-loop recursion
// for a direction and a line search for how far. Knows a vector, not what it means.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "layout.hpp"
#include "line_search.hpp"
#include "parallel.hpp"

namespace chainrule {

// Named as in PyTorch.
struct LbfgsOptions {
  double learning_rate = 1;  // the step that is tried first
  int history_size = 10;
  double tolerance_grad = 1e-7;    // of the largest slope
  double tolerance_change = 1e-9;  // of the largest change of a parameter, and of the cost's
  int max_line_search = 25;        // evaluations in one iteration
};

// Why it ended: all iterations are done, or one of the tolerances is reached, or no lower cost was
// found, or the caller said so, or there is no finite cost to begin with.
enum class Ended { iterations, gradient, change, line_search, observer, interrupted, diverged };

// Sums over theta have one order: blocks of this many, those of a block in eight lanes.
constexpr std::ptrdiff_t kSumBlock = 4096;

// Minimises C(theta) (Nocedal and Wright, algorithms 7.4 and 7.5). The pairs of changes
// s = theta' - theta and y = g' - g are all that it remembers between calls.
template <class T>
class Minimiser {
 public:
  struct Task {
    T* theta;
    // C at theta as it is now, g = dC/dtheta; not finite where there is none.
    std::function<double(T*)> evaluate;
    // After each iteration, with its number from 0 and the cost; returns true to stop. It may
    // change theta.
    std::function<bool(int, double)> observe;
    std::function<bool()> interrupted;  // asked after each evaluation
  };

  Minimiser(std::ptrdiff_t size, const LbfgsOptions& options) : options(options), size_(size) {}

  // To be called before run, outside a team: room for as many iterations.
  void prepare(int iterations);
  // At most as many iterations. theta ends at the last one that is finished, whatever happens.
  Ended run(const Team& team, const Task& task, int iterations);

  std::ptrdiff_t bytes() const;
  int pairs() const { return pairs_; }
  T* s(int k) { return s_[place(k)].data(); }  // k = 0: the oldest
  T* y(int k) { return y_[place(k)].data(); }
  std::int64_t iterations() const { return iterations_; }
  void set_iterations(std::int64_t iterations) { iterations_ = iterations; }
  std::int64_t evaluations() const { return evaluations_; }
  void forget() { pairs_ = 0; }
  // Takes s and y of some pairs, the oldest first, after prepare for as many; false, and nothing is
  // remembered, where one could not have been remembered.
  bool recall(const Team& team, const std::vector<const T*>& pairs);
  Found last_search() const { return last_search_; }

  LbfgsOptions options;

 private:
  class Sums;

  int place(int k) const { return (first_ + k) % static_cast<int>(s_.size()); }
  double evaluate(const Task& task, T* g);
  double direction(const Sums& sums, const T* g);  // d = -H g; returns g d
  // s and y from start_ to theta, from g to g_new; returns the largest change of a parameter.
  double remember(const Sums& sums, const T* theta, const T* g, const T* g_new);

  const std::ptrdiff_t size_;
  std::deque<Buffer<T>> s_, y_;  // a ring with room for one more; the oldest pair is at first_
  std::vector<double> rho_;      // 1 / (s y)
  std::vector<double> a_;        // of the first loop
  double gamma_ = 1;             // s y / (y y) of the newest pair
  int first_ = 0, pairs_ = 0;
  Buffer<T> g_[2], d_, start_;
  std::vector<double> partial_;  // one for each block of theta
  std::int64_t iterations_ = 0, evaluations_ = 0;
  Found last_search_ = Found::nothing;
};

}  // namespace chainrule
