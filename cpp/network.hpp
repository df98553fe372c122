// A dense network, and its passes where blocks of samples go through all layers while they are in
// cache: forward, cost, backward. Equations (Z), (A), (MSE) and (BP1) to (BP4) in the lecture's
// letters; the arithmetic is in kernels/, the passes of wide networks in layered.cpp, the updates
// in training.cpp. Layers are numbered 1..L.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "layout.hpp"
#include "objective.hpp"
#include "parallel.hpp"

namespace chainrule {

Activation activation_named(const std::string& name);  // std::invalid_argument lists the names
const char* name_of(Activation f);
bool needs_z(Activation f);  // for f'

template <class T>
struct Network {
  Layout layout;
  std::vector<Activation> f;    // f[l], l = 1..L
  std::vector<double> dropout;  // dropout[l]: the part of a^l that a training step drops
  Buffer<T> theta;

  Network(std::vector<int> widths, const std::vector<std::string>& activations);
  int L() const { return layout.L(); }
  int n(int l) const { return layout.n[l]; }
  T* W(int l) { return theta.data() + layout.W(l); }
  const T* W(int l) const { return theta.data() + layout.W(l); }
  bool drops() const {
    return std::any_of(dropout.begin(), dropout.end(), [](double p) { return p > 0; });
  }
  int widest() const { return *std::max_element(layout.n.begin() + 1, layout.n.end()); }
  double flops(std::ptrdiff_t m) const;  // of one forward pass over m rows
};

// Rows of a data set: row i of the batch is row order[i] of X, Y and weight (order null: row i).
// All end where the last of `rows` rows ends.
template <class T>
struct Batch {
  const T* X;
  const T* Y;
  const std::int64_t* order;
  std::ptrdiff_t m;
  std::ptrdiff_t rows;
  std::ptrdiff_t ordered = 0;  // entries of order, those of later batches included
  const T* weight = nullptr;   // of the samples; null: all 1
  const Objective<T>* objective = &Objective<T>::squares();
  const std::uint64_t* drop_key = nullptr;  // of this step's dropout; null: none
  std::atomic<bool>* spoilt = nullptr;      // set by `check`; null: nobody asks

  double weights() const;  // their sum
  // Calls the rows into cache whose turn comes one batch later, rows `from` to `to` from now.
  void call_ahead(std::ptrdiff_t from, std::ptrdiff_t to, int n_X, int n_Y) const;
  // Looks for NaN and infinities in rows that are in cache just now. The cost does not tell: relu
  // makes 0 of -infinity.
  void check(const Kernels<T>& kernels, std::ptrdiff_t from, std::ptrdiff_t to, int n_X,
             int n_Y) const;
};

template <class T>
double Batch<T>::weights() const {
  if (weight == nullptr) return static_cast<double>(m);
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < m; ++i)
    sum += static_cast<double>(weight[order != nullptr ? order[i] : i]);
  return sum;
}

template <class T>
void Batch<T>::call_ahead(std::ptrdiff_t from, std::ptrdiff_t to, int n_X, int n_Y) const {
  constexpr std::ptrdiff_t kLines = 4;  // of a long row; the machine itself goes on from there
  constexpr std::ptrdiff_t line = kPad / static_cast<std::ptrdiff_t>(sizeof(T));
  for (std::ptrdiff_t i = from + m; i < std::min(to + m, ordered); ++i) {
    const T* x = X + order[i] * n_X;
    for (std::ptrdiff_t k = 0; k < std::min<std::ptrdiff_t>(n_X, kLines * line); k += line)
      __builtin_prefetch(x + k);
    __builtin_prefetch(Y + order[i] * n_Y);
  }
}

template <class T>
void Batch<T>::check(const Kernels<T>& kernels, std::ptrdiff_t from, std::ptrdiff_t to, int n_X,
                     int n_Y) const {
  if (spoilt == nullptr) return;
  for (std::ptrdiff_t i = from; i < to;) {
    const std::ptrdiff_t row = order != nullptr ? order[i] : i;
    const std::ptrdiff_t rows = order != nullptr ? 1 : to - from;
    if (!kernels.finite(X + row * n_X, rows * n_X) || !kernels.finite(Y + row * n_Y, rows * n_Y))
      *spoilt = true;
    i += rows;
  }
}

inline std::ptrdiff_t blocks_of(std::ptrdiff_t n, std::ptrdiff_t size) {
  return (n + size - 1) / size;
}
inline std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t multiple) {
  return blocks_of(n, multiple) * multiple;
}

// Sums over samples have one order, whatever the threads, the cache and the way: each block of rows
// is one chain, the sums of a span's blocks are added in order, then those of spans.
constexpr std::ptrdiff_t kSampleBlock = 128;
constexpr std::ptrdiff_t kSpanBlocks = 8;
constexpr std::ptrdiff_t kSampleSpan = kSpanBlocks * kSampleBlock;

// Rows of a block. A batch that is one span has blocks of about the same size, so that threads with
// a block each have as much to do.
inline std::ptrdiff_t block_of(std::ptrdiff_t batch_rows) {
  constexpr std::ptrdiff_t kBlockGrain = 8;
  if (batch_rows > kSampleSpan) return kSampleBlock;
  const std::ptrdiff_t count = std::max<std::ptrdiff_t>(blocks_of(batch_rows, kSampleBlock), 1);
  return round_up(blocks_of(batch_rows, count), kBlockGrain);
}

// The costs of rows, added block by block: C before the division.
double add_costs(double sum, const double* row_cost, std::ptrdiff_t rows);

// Parameters are shared out in whole lines, and only when there are some to share.
constexpr std::ptrdiff_t kThetaGrain = 64;
constexpr std::ptrdiff_t kShareTheta = 2048;

// The cost as an element of type T: beyond its range nothing below it can be right.
template <class T>
bool representable(double cost) {
  return std::abs(cost) <= static_cast<double>(std::numeric_limits<T>::max());
}

// What of a^l is dropped: `columns` says whether samples are columns, `first` is the first sample's
// place in the batch.
template <class T>
Drop<T> drop_of(const Network<T>& net, int l, std::uint64_t key, std::ptrdiff_t first,
                bool columns);

// Rows of a batch, from row `from` on, on their way through a network.
template <class T>
struct Going {
  const Batch<T>& batch;
  double D;  // of the cost
  std::ptrdiff_t from = 0;

  bool drops(const Network<T>& net, int l) const {
    return batch.drop_key != nullptr && net.dropout[l] > 0;
  }
};

struct Outcome {
  double cost;   // infinite when stopped
  bool stopped;  // by the caller, or by a cost that is not representable
};

// Passes of a network that is small enough to stay in cache. Samples are columns, theta is read and
// the gradient written as they lie. A block of samples goes through all layers and back on a desk;
// with several threads each has its own desk and blocks, or all share the one block.
template <class T>
class Fused {
 public:
  static bool suits(const Network<T>& net);
  Fused(const Network<T>& net, std::ptrdiff_t most_rows, int threads, bool with_gradient = true);

  // finish(at, g, n) for pieces of the finished gradient, g[0] being the slope of theta[at]; for
  // none of them when the pass is stopped.
  template <class Finish, class Interrupted>
  Outcome backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                        const Interrupted& interrupted);
  double cost(const Team& team, const Batch<T>& batch);
  void outputs(const Team& team, const Batch<T>& batch, T* out);  // a^L, row by row
  std::ptrdiff_t bytes() const;                                   // of all buffers

 private:
  struct Desk {
    std::vector<T*> a, z, delta;  // (n_l, samples); a[l] with a row of ones, a[0] = X
    std::vector<T*> on;           // a[l], or what dropout leaves of it: what goes on upwards
    T *y, *weight;
    T* block_sum;  // the gradient of one block
    T* scratch;
  };
  void load(const Desk& desk, const Going<T>& going, Range samples);
  void forward(const Desk& desk, const Going<T>& going, Range samples);
  void loss(const Desk& desk, const Going<T>& going, Range samples, bool with_delta,
            double* row_cost);
  void backward(const Desk& desk, const Going<T>& going, Range samples);
  template <class Finish>
  void gradient(const Desk& desk, int samples, int part, int parts, T* g, T* scratch,
                const Finish& finish);
  void pass_together(const Team& team, const Going<T>& going);
  template <class Finish>
  void gradient_together(const Team& team, int samples, T* g, const Finish& finish);
  void spans_alone(const Team& team, const Going<T>& going, std::ptrdiff_t rows);
  void spans_together(const Team& team, const Going<T>& going, std::ptrdiff_t rows);
  void add_slots(const Batch<T>& batch, std::ptrdiff_t rows, bool first, Range theta);

  const Network<T>& net_;
  const Kernels<T>& kernels_;
  const std::ptrdiff_t size_;   // of a gradient
  const std::ptrdiff_t slot_;   // from one gradient to the next
  const std::ptrdiff_t block_;  // samples of a desk
  std::ptrdiff_t ld_;           // of its arrays
  std::ptrdiff_t scratch_size_ = 0;
  bool together_ = false;
  std::ptrdiff_t unit_ = kSpanBlocks;  // blocks whose gradients are summed in one slot
  std::ptrdiff_t round_ = 0;           // rows between two looks at the cost
  Buffer<T> arena_;
  std::vector<Desk> desks_;
  Buffer<T> slots_, total_;
  Buffer<double> row_cost_;
};

// Part `part` of the inputs of each layer; finish(at, g, n) for each piece.
template <class T>
template <class Finish>
void Fused<T>::gradient(const Desk& desk, int samples, int part, int parts, T* g, T* scratch,
                        const Finish& finish) {
  for (int l = net_.L(); l >= 1; --l) {
    const std::ptrdiff_t n_in = net_.n(l - 1), n_out = net_.n(l);
    const Range mine = share(n_in + 1, 1, part, parts);
    if (mine.size() == 0) continue;
    const std::ptrdiff_t at = net_.layout.W(l) + mine.begin * n_out;
    // (BP4) dW^l = delta^l a^{l-1}T   (BP3) db^l = delta^l 1: the row of ones in a
    kernels_.gradient_columns(static_cast<int>(mine.size()), static_cast<int>(n_out), samples,
                              desk.on[l - 1] + mine.begin * ld_, desk.delta[l], ld_, g + at,
                              scratch);
    finish(at, static_cast<const T*>(g + at), mine.size() * n_out);
  }
}

// The members share the rows of the gradient of the one desk.
template <class T>
template <class Finish>
void Fused<T>::gradient_together(const Team& team, int samples, T* g, const Finish& finish) {
  const Desk& desk = desks_[0];
  const int parts = team.size();
  team.for_each(parts, [&](int part, int rank) {
    gradient(desk, samples, part, parts, g, desk.scratch + rank * scratch_size_, finish);
  });
}

template <class T>
template <class Finish, class Interrupted>
Outcome Fused<T>::backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                                const Interrupted& interrupted) {
  const double D = batch.objective->divisor(batch.weights(), net_.n(net_.L()));
  double sum = 0;
  if (batch.m <= kSampleSpan && (together_ || team.size() == 1) && size_ >= kShareTheta) {
    // One span: with its last block a piece of the gradient is finished while it is in cache.
    const std::ptrdiff_t block = block_of(batch.m);
    const std::ptrdiff_t last = (blocks_of(batch.m, block) - 1) * block;
    spans_together(team, {batch, D}, last);
    pass_together(team, {batch, D, last});
    sum = add_costs(sum, row_cost_.data(), batch.m);
    if (interrupted() || !representable<T>(sum / D))
      return {std::numeric_limits<double>::infinity(), true};
    T* const slot = slots_.data();
    gradient_together(team, static_cast<int>(batch.m - last),
                      last == 0 ? slot : desks_[0].block_sum,
                      [&](std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
                        if (last > 0) kernels_.add(slot + at, g, n);
                        finish(at, static_cast<const T*>(slot + at), n);
                      });
    return {sum / D, false};
  }
  for (std::ptrdiff_t from = 0; from < batch.m; from += round_) {
    const std::ptrdiff_t rows = std::min(round_, batch.m - from);
    if (together_)
      spans_together(team, {batch, D, from}, rows);
    else
      spans_alone(team, {batch, D, from}, rows);
    sum = add_costs(sum, row_cost_.data(), rows);
    if (interrupted() || !representable<T>(sum / D))
      return {std::numeric_limits<double>::infinity(), true};
    const bool last = from + round_ >= batch.m;
    const int parts = size_ < kShareTheta ? 1 : team.size();
    team.for_each(parts, [&](int part, int) {
      const Range mine = share(size_, kThetaGrain, part, parts);
      add_slots(batch, rows, from == 0, mine);
      const T* g = total_.size() > 0 ? total_.data() : slots_.data();
      if (last) finish(mine.begin, g + mine.begin, mine.size());
    });
  }
  return {sum / D, false};
}

}  // namespace chainrule
