#include "minimiser.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace chainrule {
namespace {

// Vectors from this length on are shared between threads.
constexpr std::ptrdiff_t kShareSum = 8 * kSumBlock;

template <class T>
double dot(const T* p, const T* q, Range range) {
  constexpr int kLanes = 8;
  double lane[kLanes] = {};
  std::ptrdiff_t i = range.begin;
  for (; i + kLanes <= range.end; i += kLanes)
    for (int k = 0; k < kLanes; ++k)
      lane[k] += static_cast<double>(p[i + k]) * static_cast<double>(q[i + k]);
  double sum = 0;
  for (const double x : lane) sum += x;
  for (; i < range.end; ++i) sum += static_cast<double>(p[i]) * static_cast<double>(q[i]);
  return sum;
}

// to = p + factor q, which may be one of them.
template <class T>
void add(const T* p, double factor, const T* q, T* to, Range range) {
  for (std::ptrdiff_t i = range.begin; i < range.end; ++i)
    to[i] = static_cast<T>(static_cast<double>(p[i]) + factor * static_cast<double>(q[i]));
}

template <class T>
double largest(const T* p, Range range) {
  T most = 0;
  for (std::ptrdiff_t i = range.begin; i < range.end; ++i) most = std::max(most, std::abs(p[i]));
  return static_cast<double>(most);
}

}  // namespace

// Numbers of each block of theta, computed by whoever comes first and put together in order.
template <class T>
class Minimiser<T>::Sums {
 public:
  Sums(const Team& team, std::ptrdiff_t size, std::vector<double>& partial)
      : team_(team), size_(size), partial_(partial) {}

  // of(range) for each block: what it does to the vectors there, and its part of the sum.
  template <class Block>
  double sum(const Block& of) const {
    each(of);
    double total = 0;
    for (const double x : partial_) total += x;
    return total;
  }
  template <class Block>
  double most(const Block& of) const {
    each(of);
    return *std::max_element(partial_.begin(), partial_.end());
  }

 private:
  template <class Block>
  void each(const Block& of) const {
    const auto blocks = static_cast<std::ptrdiff_t>(partial_.size());
    const int parts = size_ < kShareSum ? 1 : team_.size();
    team_.for_each(parts, [&](int part, int) {
      const Range mine = share(blocks, 1, part, parts);
      for (std::ptrdiff_t b = mine.begin; b < mine.end; ++b)
        partial_[b] = of(Range{b * kSumBlock, std::min(size_, (b + 1) * kSumBlock)});
    });
  }

  const Team& team_;
  const std::ptrdiff_t size_;
  std::vector<double>& partial_;
};

template <class T>
void Minimiser<T>::prepare(int iterations) {
  const std::int64_t room =
      1 + std::min<std::int64_t>(options.history_size, std::int64_t{pairs_} + iterations);
  while (static_cast<std::int64_t>(s_.size()) < room) {  // before it is full it starts at 0
    s_.emplace_back(size_);
    y_.emplace_back(size_);
  }
  rho_.resize(s_.size());
  a_.resize(s_.size());
  partial_.resize(static_cast<std::size_t>((size_ + kSumBlock - 1) / kSumBlock));
  for (Buffer<T>* buffer : {&g_[0], &g_[1], &d_, &start_})
    if (buffer->size() != size_) buffer->reset(size_);
}

template <class T>
std::ptrdiff_t Minimiser<T>::bytes() const {
  return (static_cast<std::ptrdiff_t>(s_.size()) * 2 + 4) * size_ *
         static_cast<std::ptrdiff_t>(sizeof(T));
}

template <class T>
double Minimiser<T>::evaluate(const Task& task, T* g) {
  ++evaluations_;
  return task.evaluate(g);
}

// Algorithm 7.4, with -g for g. Each pass over d is used for the product that comes next.
template <class T>
double Minimiser<T>::direction(const Sums& sums, const T* g) {
  T* const d = d_.data();
  const T* newest = pairs_ > 0 ? s(pairs_ - 1) : g;
  double product = sums.sum([&](Range r) {
    for (std::ptrdiff_t i = r.begin; i < r.end; ++i) d[i] = -g[i];
    return dot(newest, d, r);
  });
  for (int k = pairs_ - 1; k >= 0; --k) {
    a_[k] = rho_[place(k)] * product;
    const T *const y_k = y(k), *const next = k > 0 ? s(k - 1) : y_k;
    const double gamma = k > 0 ? 1 : gamma_;
    product = sums.sum([&](Range r) {
      add(d, -a_[k], y_k, d, r);
      if (k == 0)
        for (std::ptrdiff_t i = r.begin; i < r.end; ++i)
          d[i] = static_cast<T>(gamma * static_cast<double>(d[i]));
      return dot(next, d, r);
    });
  }
  for (int k = 0; k < pairs_; ++k) {
    const double b = rho_[place(k)] * product;
    const T *const s_k = s(k), *const next = k + 1 < pairs_ ? y(k + 1) : g;
    product = sums.sum([&](Range r) {
      add(d, a_[k] - b, s_k, d, r);
      return dot(next, d, r);
    });
  }
  return product;
}

template <class T>
double Minimiser<T>::remember(const Sums& sums, const T* theta, const T* g, const T* g_new) {
  T *const s_new = s(pairs_), *const y_new = y(pairs_);
  const double sy = sums.sum([&](Range r) {
    add(theta, -1, start_.data(), s_new, r);
    add(g_new, -1, g, y_new, r);
    return dot(s_new, y_new, r);
  });
  const double ss = sums.sum([&](Range r) { return dot(s_new, s_new, r); });
  const double yy = sums.sum([&](Range r) { return dot(y_new, y_new, r); });
  const double change = sums.most([&](Range r) { return largest(s_new, r); });
  // A pair without curvature would spoil H; within rounding its sign means nothing.
  constexpr auto kRounding = static_cast<double>(std::numeric_limits<T>::epsilon());
  if (!(sy > kRounding * std::sqrt(ss) * std::sqrt(yy))) return change;
  rho_[place(pairs_)] = 1 / sy;
  gamma_ = sy / yy;
  if (pairs_ < options.history_size)
    ++pairs_;
  else
    first_ = place(1);
  return change;
}

template <class T>
bool Minimiser<T>::recall(const Team& team, const std::vector<const T*>& pairs) {
  first_ = pairs_ = 0;
  const int count = static_cast<int>(pairs.size()) / 2;
  const Sums sums(team, size_, partial_);
  for (int k = 0; k < count; ++k) {
    std::copy_n(pairs[2 * k], size_, s(k));
    std::copy_n(pairs[2 * k + 1], size_, y(k));
    const double sy = sums.sum([&](Range r) { return dot(s(k), y(k), r); });
    const double yy = sums.sum([&](Range r) { return dot(y(k), y(k), r); });
    if (!(sy > 0) || !std::isfinite(yy)) return false;  // NaN too
    rho_[place(k)] = 1 / sy;
    gamma_ = sy / yy;
  }
  pairs_ = count;
  return true;
}

template <class T>
Ended Minimiser<T>::run(const Team& team, const Task& task, int iterations) {
  const Sums sums(team, size_, partial_);
  T *const theta = task.theta, *const start = start_.data(), *const d = d_.data();
  T *g = g_[0].data(), *g_new = g_[1].data();
  const auto theta_bytes = static_cast<std::size_t>(size_) * sizeof(T);
  const auto steepness = [&] { return sums.most([&](Range r) { return largest(g, r); }); };
  const auto length = [&] { return std::sqrt(sums.sum([&](Range r) { return dot(g, g, r); })); };
  const auto go = [&](double alpha) {
    sums.sum([&](Range r) {
      add(start, alpha, d, theta, r);
      return 0.0;
    });
  };
  double cost = 0;
  // The gradient is taken anew in each call: data and theta may be others than in the last one.
  const auto begin = [&] {
    cost = evaluate(task, g);
    if (task.interrupted()) return Ended::interrupted;
    return std::isfinite(cost) && std::isfinite(length()) ? Ended::iterations : Ended::diverged;
  };
  Ended ended = begin();
  if (ended != Ended::iterations) return ended;

  for (int iteration = 0; iteration < iterations; ++iteration) {
    std::memcpy(start, theta, theta_bytes);
    const bool done_before = steepness() <= options.tolerance_grad;
    LineSearch search{Found::nothing, {}, 0};
    double tried = 0;
    while (!done_before) {
      const double slope = direction(sums, g);
      if (slope < 0 && std::isfinite(slope)) {
        const double first = options.learning_rate * (pairs_ > 0 ? 1 : std::min(1.0, 1 / length()));
        Wolfe rule;
        rule.most = options.max_line_search;
        rule.resolution =
            options.tolerance_change / sums.most([&](Range r) { return largest(d, r); });
        const auto phi = [&](double alpha, LinePoint& p) {
          go(alpha);
          p = {alpha, evaluate(task, g_new), 0};
          p.slope = sums.sum([&](Range r) { return dot(g_new, d, r); });
          tried = alpha;
          return !task.interrupted();
        };
        search = strong_wolfe(phi, {0, cost, slope}, first, rule);
      }
      if (search.found != Found::nothing || pairs_ == 0) break;
      forget();  // and try again along the gradient
    }
    last_search_ = search.found;
    if (search.found == Found::decrease && tried != search.point.alpha) {
      go(search.point.alpha);
      evaluate(task, g_new);
      if (task.interrupted()) search.found = Found::stopped;
    }
    if (search.found == Found::stopped || search.found == Found::nothing)
      std::memcpy(theta, start, theta_bytes);
    if (search.found == Found::stopped) return Ended::interrupted;

    ++iterations_;
    if (search.found == Found::nothing) {
      ended = done_before ? Ended::gradient : Ended::line_search;
    } else {
      const double change = remember(sums, theta, g, g_new);
      const double fall = std::abs(cost - search.point.value);
      std::swap(g, g_new);
      cost = search.point.value;
      if (steepness() <= options.tolerance_grad)
        ended = Ended::gradient;
      else if (change <= options.tolerance_change || fall <= options.tolerance_change)
        ended = Ended::change;
    }
    std::memcpy(start, theta, theta_bytes);
    if (task.observe && task.observe(iteration, cost)) return Ended::observer;
    if (std::memcmp(start, theta, theta_bytes) != 0) ended = begin();
    if (ended != Ended::iterations) return ended;
  }
  return Ended::iterations;
}

template class Minimiser<float>;
template class Minimiser<double>;

}  // namespace chainrule
