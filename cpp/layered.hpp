// The passes of networks too wide to stay in cache: layer by layer over many rows, in cache-blocked
// products. The same equations as in network.cpp, and the same bits.
#pragma once

#include <vector>

#include "network.hpp"

namespace chainrule {

// Rows are given to threads in multiples of this.
constexpr std::ptrdiff_t kRowGrain = 16;

// A stripe of the gradient of one layer: rows of dW^l transposed, db^l being row n_{l-1}. One
// thread owns it, sums it over all samples and updates its weights.
struct Stripe {
  int l, row, rows;
};

// Everything that a pass over a batch needs, allocated once. The batch is taken in groups of rows;
// for each, every thread runs its rows through all layers and back, then its stripes of dW.
template <class T>
class Layered {
 public:
  // forward: only what cost() needs. everything: all z, and all rows at once (trace).
  enum class Keep { forward, needed, everything };
  Layered(const Network<T>& net, std::ptrdiff_t most_rows, int threads, Keep keep = Keep::needed);

  // finish(at, g, n) for pieces of the finished gradient, as in Fused.
  template <class Finish, class Interrupted>
  Outcome backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                        const Interrupted& interrupted);
  double cost(const Team& team, const Batch<T>& batch);
  void outputs(const Team& team, const Batch<T>& batch, T* out);  // a^L, row by row
  std::ptrdiff_t bytes() const;

  std::vector<std::ptrdiff_t> ld;      // of a[l], z[l], delta[l]
  std::vector<Buffer<T>> a, z, delta;  // numbered by l; a[0] = X

 private:
  // A group of rows through all layers, to the loss, and back.
  enum class Until { outputs, loss, back };
  void take(const Team& team, const Going<T>& going, std::ptrdiff_t rows, Until until);
  void take_rows(const Team& team, const Going<T>& going, std::ptrdiff_t rows, Until until);
  void take_units(const Team& team, const Going<T>& going, std::ptrdiff_t rows, Until until);
  struct Tile {  // of a layer's arrays
    Range rows, units;
    int m() const { return static_cast<int>(rows.size()); }
    int n() const { return static_cast<int>(units.size()); }
  };
  void load(const Going<T>& going, Range rows);
  void forward(const Going<T>& going, int l, Tile tile);
  void loss(const Going<T>& going, Range rows, bool with_delta);
  void backward(const Going<T>& going, int l, Tile below);
  void drop(const Going<T>& going, int l, Tile tile, const T* from, T* to);
  void pack(int l, Tile tile);
  const Buffer<T>& on(int l) const { return dropped_[l].size() > 0 ? dropped_[l] : a[l]; }
  struct Block {
    T* p;
    std::ptrdiff_t ld;
  };
  std::ptrdiff_t gradient_ld(int l) const;
  Block gradient_of(const Stripe& s, int rank);
  void add_gradient(const Stripe& s, Block g, const Going<T>& going, std::ptrdiff_t rows, int rank);

  const Network<T>& net_;
  const Kernels<T>& kernels_;
  int parts_;                       // of the rows of a group, or of the units of a layer
  bool wide_ = false;               // so that W is a larger stream than the activations
  std::ptrdiff_t group_;            // rows whose activations are held at once
  std::ptrdiff_t block_;            // rows that go through all layers while they are in cache
  std::ptrdiff_t held_ = 0;         // rows that there is room for
  std::vector<Buffer<T>> dropped_;  // what dropout leaves of a[l], which goes on upwards
  std::vector<Buffer<T>> panels_;   // delta of wide layers once more, as the gradient reads it
  Buffer<T> y_, weight_;
  Buffer<double> row_cost_;
  // A batch that is one group needs each stripe for a moment only: then a thread has room for one,
  // which stays in its cache. Otherwise the gradient of all layers is kept from group to group.
  std::vector<Buffer<T>> gradient_;
  Buffer<T> stripe_, span_, scratch_;  // for each thread one; span_: the sum of one span
  std::ptrdiff_t stripe_size_ = 0, scratch_size_ = 0;
  std::vector<std::vector<Stripe>> stripes_;  // shares of the members of the team
};

// out = f(X), layer by layer.
template <class T>
void predict_layered(const Team& team, const Network<T>& net, const T* X, std::ptrdiff_t m, T* out);

template <class T>
template <class Finish, class Interrupted>
Outcome Layered<T>::backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                                  const Interrupted& interrupted) {
  const double D = batch.objective->divisor(batch.weights(), net_.n(net_.L()));
  double sum = 0;
  for (std::ptrdiff_t from = 0; from < batch.m; from += group_) {
    const std::ptrdiff_t rows = std::min(group_, batch.m - from);
    take(team, {batch, D, from}, rows, Until::back);
    sum = add_costs(sum, row_cost_.data(), rows);
    if (interrupted() || !representable<T>(sum / D))
      return {std::numeric_limits<double>::infinity(), true};
    const bool last = from + group_ >= batch.m;
    team.for_each(static_cast<int>(stripes_.size()), [&](int part, int rank) {
      for (const Stripe& s : stripes_[part]) {
        const Block g = gradient_of(s, rank);
        add_gradient(s, g, {batch, D, from}, rows, rank);
        if (!last) continue;
        const std::ptrdiff_t n_out = net_.n(s.l), at = net_.layout.W(s.l) + s.row * n_out;
        if (g.ld == n_out)
          finish(at, static_cast<const T*>(g.p), s.rows * n_out);
        else
          for (std::ptrdiff_t row = 0; row < s.rows; ++row)
            finish(at + row * n_out, static_cast<const T*>(g.p + row * g.ld), n_out);
      }
    });
  }
  return {sum / D, false};
}

}  // namespace chainrule
