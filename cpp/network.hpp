// The passes of a dense network: forward, cost, backward. Equations (Z), (A), (MSE) and (BP1) to
// (BP4) live here, in the lecture's letters; the arithmetic is in kernels/, the updates in
// training.cpp. Layers are numbered 1..L, samples are rows, sums over samples go by blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "layout.hpp"
#include "parallel.hpp"

namespace chainrule {

Activation activation_named(const std::string& name);  // std::invalid_argument lists the names
const char* name_of(Activation f);

template <class T>
struct Network {
  Layout layout;
  std::vector<Activation> f;  // f[l], l = 1..L
  Buffer<T> theta;

  Network(std::vector<int> widths, const std::vector<std::string>& activations);
  int L() const { return layout.L(); }
  int n(int l) const { return layout.n[l]; }
  T* W(int l) { return theta.data() + layout.W(l); }
  const T* W(int l) const { return theta.data() + layout.W(l); }
  double flops(std::ptrdiff_t m) const;  // of one forward pass over m rows
};

// The weights as the kernels read them. A narrow layer is read where it lies in theta; a wide one
// (whose rows are far apart) from packed panels, and the backward pass from transposed panels.
template <class T>
class Weights {
 public:
  enum class For { few_rows, forward, both };
  Weights(const Network<T>& net, For use);
  void pack(const Team& team);               // all of theta
  void pack_rows(int l, int row, int rows);  // rows of W^l_T with b^l as its last one
  Right<T> forward(int l) const;             // (n_{l-1}, n_l), row n_{l-1} is b
  Right<T> backward(int l) const;            // (n_l, n_{l-1}), l = 2..L

 private:
  const Network<T>& net_;
  const Kernels<T>& kernels_;
  std::vector<Buffer<T>> forward_, backward_;
};

// Rows of a data set: row i of the batch is row order[i] of X and Y (order null: row i).
template <class T>
struct Batch {
  const T* X;
  const T* Y;
  const std::int64_t* order;
  std::ptrdiff_t m;
};

// Rows are given to threads in multiples of this.
constexpr std::ptrdiff_t kRowGrain = 16;

// The cost as an element of type T: beyond its range nothing below it can be right.
template <class T>
bool representable(double cost) {
  return cost >= 0 && cost <= static_cast<double>(std::numeric_limits<T>::max());
}

// A stripe of the gradient of one layer: rows of dW^l transposed, db^l being row n_{l-1}. One
// thread owns it, sums it over all samples and updates its weights.
struct Stripe {
  int l, row, rows;
};

// Everything that a pass over a batch needs, allocated once. The batch is taken in groups of rows;
// for each, every thread runs its rows through all layers and back, then its stripes of dW.
template <class T>
class Passes {
 public:
  // forward: only what cost() needs. everything: all z, and all rows at once (trace).
  enum class Keep { forward, needed, everything };
  Passes(const Network<T>& net, std::ptrdiff_t most_rows, int threads, Keep keep = Keep::needed);

  // Called by every member of the team. `finish(stripe, g, ld)` runs where a stripe is complete,
  // its rows at g, g + ld, ...; for none of them when the cost is not finite or `interrupted` is
  // true.
  template <class Finish, class Interrupted>
  double backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                       const Interrupted& interrupted);
  double cost(const Team& team, const Batch<T>& batch);

  Weights<T> weights;
  const Network<T>& net;
  const Kernels<T>& kernels;
  std::vector<std::ptrdiff_t> ld;      // of a[l], z[l], delta[l]
  std::vector<Buffer<T>> a, z, delta;  // numbered by l; a[0] = X
  bool stopped = false;                // by `interrupted` or a cost that is not finite

 private:
  void load(const Batch<T>& batch, std::ptrdiff_t from, Range rows);
  void forward(Range rows);
  void loss(Range rows, std::ptrdiff_t m, bool with_delta);
  void backward(Range rows);
  struct Block {
    T* p;
    std::ptrdiff_t ld;
  };
  std::ptrdiff_t gradient_ld(int l) const;
  Block gradient_of(const Stripe& s, int rank);
  void add_gradient(const Stripe& s, Block g, std::ptrdiff_t rows, bool add, int rank);

  std::ptrdiff_t group_;           // rows whose activations are held at once
  std::ptrdiff_t block_;           // rows that go through all layers while they are in cache
  std::ptrdiff_t held_ = 0;        // rows that there is room for
  std::vector<Buffer<T>> panels_;  // delta of wide layers once more, as the gradient reads it
  Buffer<T> y_;
  Buffer<double> row_cost_;
  // A batch that is one group needs each stripe for a moment only: then a thread has room for one,
  // which stays in its cache. Otherwise the gradient of all layers is kept from group to group.
  std::vector<Buffer<T>> gradient_;
  Buffer<T> stripe_, scratch_;
  std::ptrdiff_t stripe_size_ = 0, scratch_size_ = 0;  // of one thread
  std::vector<std::vector<Stripe>> stripes_;           // shares of the members of the team
  bool interrupted_ = false;
};

// Sums over samples go by blocks of this many rows, whatever the batch, the threads or the cache.
constexpr int kSampleBlock = 128;

template <class T>
void predict(const Network<T>& net, const T* X, std::ptrdiff_t m, T* out);

template <class T>
template <class Finish, class Interrupted>
double Passes<T>::backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                                const Interrupted& interrupted) {
  const double elements = static_cast<double>(batch.m) * net.n(net.L());
  double sum = 0;
  for (std::ptrdiff_t from = 0; from < batch.m; from += group_) {
    const std::ptrdiff_t rows = std::min(group_, batch.m - from);
    const Range mine = share(rows, kRowGrain, team);
    for (std::ptrdiff_t i = mine.begin; i < mine.end; i += block_) {
      const Range now{i, std::min(i + block_, mine.end)};
      load(batch, from, now);
      forward(now);
      loss(now, batch.m, true);
      backward(now);
    }
    if (team.rank == 0) interrupted_ = interrupted();
    team.barrier();
    // (MSE) every member adds up the same numbers in the same order and comes to the same verdict.
    for (std::ptrdiff_t i = 0; i < rows; ++i) sum += row_cost_.data()[i];
    const bool give_up = interrupted_ || !representable<T>(sum / elements);
    if (give_up) {
      if (team.rank == 0) stopped = true;
      team.barrier();
      break;
    }
    const bool last = from + group_ >= batch.m;
    // A team may come out smaller than it was planned: then its members take several shares.
    for (std::size_t s = team.rank; s < stripes_.size(); s += team.size)
      for (const Stripe& stripe : stripes_[s]) {
        const Block g = gradient_of(stripe, team.rank);
        add_gradient(stripe, g, rows, from > 0, team.rank);
        if (last) finish(stripe, static_cast<const T*>(g.p), g.ld);
      }
    team.barrier();
  }
  return sum / elements;
}

}  // namespace chainrule
