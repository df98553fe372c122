#include "layered.hpp"

namespace chainrule {
namespace {

// Of a layer with longer rows delta is packed for dW: its rows lie too far apart for page tables.
constexpr std::ptrdiff_t kWideRow = 512;  // bytes

constexpr std::ptrdiff_t kNearCache = 32 << 10;     // a share of L1 and L2 for activations
constexpr std::ptrdiff_t kThreadCache = 384 << 10;  // a share of one core's L2
constexpr std::ptrdiff_t kGroupMemory = 64 << 20;   // for networks too wide for any cache
constexpr std::ptrdiff_t kWideBlock = 256;          // rows that share one stream of wide weights
constexpr std::ptrdiff_t kUnitGrain = 32;  // a whole number of panels on every instruction set

// Rows of a stripe: few enough that its gradient stays in L2 until the update and that there are
// some for every thread, enough that each look at delta feeds many tiles.
constexpr std::ptrdiff_t kStripeBytes = 256 << 10;
constexpr int kStripeGrain = 32;  // a whole number of panels on every instruction set
constexpr std::ptrdiff_t kTallStripe = 256;

template <class T>
bool is_wide(const Network<T>& net, int l) {
  return static_cast<std::ptrdiff_t>(net.n(l) * sizeof(T)) > kWideRow;
}

template <class T>
int stripe_rows(const Network<T>& net, int l, int threads) {
  const std::ptrdiff_t row_bytes = padded<T>(net.n(l)) * static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t fits = kStripeBytes / row_bytes / kStripeGrain * kStripeGrain;
  const std::ptrdiff_t fair = round_up(net.n(l - 1) / (2 * threads), kStripeGrain);
  return static_cast<int>(
      std::clamp<std::ptrdiff_t>(std::min(fair, fits), kStripeGrain, kTallStripe));
}

// W^l as the kernels read it, where it lies in theta: (n_{l-1}, n_l), row n_{l-1} is b.
template <class T>
Right<T> weights(const Network<T>& net, int l, const Kernels<T>& kernels) {
  return {net.W(l), net.n(l), kernels.panel};
}

// And for the way back: (n_l, n_{l-1}). With one output W^l is one row of inputs already.
template <class T>
Right<T> weights_back(const Network<T>& net, int l, const Kernels<T>& kernels) {
  if (net.n(l) == 1) return {net.W(l), 0, kernels.panel};
  return {net.W(l), net.n(l), 0, true};
}

}  // namespace

template <class T>
Layered<T>::Layered(const Network<T>& net, std::ptrdiff_t most_rows, int threads, Keep keep)
    : ld(net.L() + 1),
      a(net.L() + 1),
      z(net.L() + 1),
      delta(net.L() + 1),
      net_(net),
      kernels_(chainrule::kernels<T>()),
      parts_(threads),
      dropped_(net.L() + 1),
      panels_(net.L() + 1),
      gradient_(net.L() + 1),
      stripes_(threads) {
  std::ptrdiff_t row_bytes = padded<T>(net_.n(net_.L()) + 1) * sizeof(T);  // of Y
  for (int l = 0; l <= net_.L(); ++l) {
    ld[l] = padded<T>(net_.n(l) + 1);  // one more for the constant 1 whose weight is b
    row_bytes += 2 * ld[l] * static_cast<std::ptrdiff_t>(sizeof(T));
  }

  // Activations of a block stay in L1 or L2 on their way up and down. A group is what the threads
  // hold between two barriers; a network whose single block fills the cache takes many rows
  // at once instead, because then its weights are the larger stream.
  wide_ = kSampleBlock * row_bytes > kThreadCache;
  block_ = wide_ ? kWideBlock : std::clamp(kNearCache / row_bytes, kRowGrain, kWideBlock);
  group_ = (wide_ ? kGroupMemory : threads * kThreadCache) / row_bytes;
  group_ = std::max<std::ptrdiff_t>(group_ / kSampleSpan, 1) * kSampleSpan;
  if (keep == Keep::everything) group_ = round_up(most_rows, kSampleSpan);
  held_ = std::min(group_, std::max<std::ptrdiff_t>(most_rows, 1));

  for (int l = 0; l <= net_.L(); ++l) {
    a[l].reset(checked_multiply(held_, ld[l]));
    if (l == 0 || keep == Keep::forward) continue;
    delta[l].reset(checked_multiply(held_, ld[l]));
    if (is_wide(net, l))
      panels_[l].reset(checked_multiply(held_, round_up(net_.n(l), kernels_.panel)));
    if (net_.dropout[l] > 0) dropped_[l].reset(checked_multiply(held_, ld[l]));
    if (keep == Keep::everything || needs_z(net_.f[l])) z[l].reset(checked_multiply(held_, ld[l]));
    if (most_rows > group_) gradient_[l].reset(checked_multiply(net_.n(l - 1) + 1, gradient_ld(l)));
  }
  y_.reset(checked_multiply(held_, ld[net_.L()]));
  weight_.reset(held_);
  row_cost_.reset(held_);

  // Stripes go to the threads in order, so that each has about the same number of products.
  double total = 0;
  for (int l = 1; l <= net_.L(); ++l) total += (net_.n(l - 1) + 1.0) * net_.n(l);
  double done = 0;
  int tallest = 1;
  for (int l = 1; l <= net_.L(); ++l) {
    const int all = net_.n(l - 1) + 1;
    const int step = net_.n(l) == 1 ? all : stripe_rows(net, l, threads);
    for (int row = 0; row < all; row += step) {
      // The row of b goes with the stripe before it: alone it would be a tile of one row.
      const int rows = all - row <= step + 1 ? all - row : step;
      const int member = static_cast<int>(done / total * threads);
      stripes_[std::min(member, threads - 1)].push_back({l, row, rows});
      if (net_.n(l) > 1) tallest = std::max(tallest, rows);
      stripe_size_ = std::max(stripe_size_, rows * gradient_ld(l));
      done += static_cast<double>(rows) * net_.n(l);
      if (rows > step) break;
    }
  }
  if (keep == Keep::forward) return;
  stripe_size_ = padded<T>(stripe_size_);
  if (most_rows <= group_) stripe_.reset(threads * stripe_size_);
  if (most_rows > kSampleSpan) span_.reset(threads * stripe_size_);
  scratch_size_ = padded<T>(kSampleBlock * (tallest + kernels_.panel));
  scratch_.reset(threads * scratch_size_);
}

template <class T>
void Layered<T>::load(const Going<T>& going, Range rows) {
  const Batch<T>& batch = going.batch;
  const std::ptrdiff_t from = going.from;
  const int n_0 = net_.n(0), n_Y = batch.objective->targets(net_.n(net_.L()));
  for (std::ptrdiff_t i = rows.begin; i < rows.end; ++i) {
    const std::ptrdiff_t row = batch.order != nullptr ? batch.order[from + i] : from + i;
    T* x = a[0].data() + i * ld[0];
    std::copy_n(batch.X + row * n_0, n_0, x);
    x[n_0] = 1;
    if (batch.Y != nullptr) std::copy_n(batch.Y + row * n_Y, n_Y, y_.data() + i * ld[net_.L()]);
    if (batch.weight != nullptr) weight_.data()[i] = batch.weight[row];
  }
  batch.check(kernels_, from + rows.begin, from + rows.end, n_0, n_Y);
  batch.call_ahead(from + rows.begin, from + rows.end, n_0, n_Y);
}

// What dropout does to a^l on the way up, and to its slopes on the way down.
template <class T>
void Layered<T>::drop(const Going<T>& going, int l, Tile tile, const T* from, T* to) {
  Drop<T> how = drop_of(net_, l, *going.batch.drop_key, going.from + tile.rows.begin, false);
  how.col += static_cast<std::uint32_t>(tile.units.begin) * how.col_step;
  kernels_.drop(how, tile.m(), tile.n(), from, to, ld[l]);
}

template <class T>
void Layered<T>::forward(const Going<T>& going, int l, Tile tile) {
  const T* const below = on(l - 1).data() + tile.rows.begin * ld[l - 1];
  const std::ptrdiff_t at = tile.rows.begin * ld[l] + tile.units.begin;
  T* const a_l = a[l].data() + at;
  Right<T> W = weights(net_, l, kernels_);
  W.p += tile.units.begin;
  // (Z) z^l = a^{l-1} W^lT + b^l   (A) a^l = f(z^l)
  kernels_.forward(tile.m(), net_.n(l - 1), tile.n(), below, ld[l - 1], W, net_.f[l],
                   z[l].size() > 0 ? z[l].data() + at : nullptr, a_l, ld[l]);
  T* const on_l = dropped_[l].size() > 0 ? dropped_[l].data() + at : a_l;
  if (going.drops(net_, l))
    drop(going, l, tile, a_l, on_l);
  else if (on_l != a_l)
    for (int i = 0; i < tile.m(); ++i) std::copy_n(a_l + i * ld[l], tile.n(), on_l + i * ld[l]);
  if (tile.units.end == net_.n(l))
    for (int i = 0; i < tile.m(); ++i) on_l[i * ld[l] + tile.n()] = 1;
}

template <class T>
void Layered<T>::loss(const Going<T>& going, Range rows, bool with_delta) {
  const Batch<T>& batch = going.batch;
  const int L = net_.L();
  const std::ptrdiff_t at = rows.begin * ld[L];
  const int count = static_cast<int>(rows.end - rows.begin);
  const Objective<T>& objective = *batch.objective;
  T* delta_L = with_delta ? delta[L].data() + at : nullptr;
  // (BP1) delta^L = dC/da^L * f'(z^L)
  const LossInput<T> in{objective.loss,
                        objective.numbers(),
                        a[L].data() + at,
                        y_.data() + at,
                        ld[L],
                        batch.weight != nullptr ? weight_.data() + rows.begin : nullptr,
                        static_cast<T>(1 / going.D)};
  kernels_.loss(count, net_.n(L), in, delta_L, row_cost_.data() + rows.begin);
  if (with_delta && net_.f[L] != Activation::identity)
    kernels_.derive(net_.f[L], delta_L, z[L].size() > 0 ? z[L].data() + at : nullptr,
                    a[L].data() + at, count * ld[L]);
  if (with_delta) pack(L, {rows, {0, net_.n(L)}});
}

// delta^{l-1} from delta^l.
template <class T>
void Layered<T>::backward(const Going<T>& going, int l, Tile below) {
  const std::ptrdiff_t at = below.rows.begin * ld[l - 1] + below.units.begin;
  Right<T> W = weights_back(net_, l, kernels_);
  W.p += below.units.begin * (W.transposed ? W.rs : 1);
  T* const delta_below = delta[l - 1].data() + at;
  // (BP2) delta^{l-1} = (delta^l W^l) * f'(z^{l-1})
  kernels_.backward(below.m(), net_.n(l), below.n(), delta[l].data() + below.rows.begin * ld[l],
                    ld[l], W, net_.f[l - 1], z[l - 1].size() > 0 ? z[l - 1].data() + at : nullptr,
                    a[l - 1].data() + at, delta_below, ld[l - 1]);
  if (going.drops(net_, l - 1)) drop(going, l - 1, below, delta_below, delta_below);
  pack(l - 1, below);
}

template <class T>
void Layered<T>::pack(int l, Tile tile) {
  if (panels_[l].size() == 0) return;
  const std::ptrdiff_t ld_panel = held_ * kernels_.panel;
  kernels_.pack(panels_[l].data() + tile.units.begin * held_ + tile.rows.begin * kernels_.panel,
                ld_panel, delta[l].data() + tile.rows.begin * ld[l] + tile.units.begin, ld[l],
                tile.m(), tile.n());
}

// With one output dW^l is one row, and stands like W^l: one element for each input.
template <class T>
std::ptrdiff_t Layered<T>::gradient_ld(int l) const {
  return net_.n(l) == 1 ? 1 : padded<T>(net_.n(l));
}

template <class T>
typename Layered<T>::Block Layered<T>::gradient_of(const Stripe& s, int rank) {
  const std::ptrdiff_t ld_g = gradient_ld(s.l);
  if (stripe_.size() > 0) return {stripe_.data() + rank * stripe_size_, ld_g};
  return {gradient_[s.l].data() + s.row * ld_g, ld_g};
}

template <class T>
void Layered<T>::add_gradient(const Stripe& s, Block g, const Going<T>& going, std::ptrdiff_t rows,
                              int rank) {
  const bool add = going.from > 0;
  const std::ptrdiff_t panel = kernels_.panel;
  const int block = static_cast<int>(block_of(going.batch.m));
  T* scratch = scratch_.data() + rank * scratch_size_;
  for (std::ptrdiff_t i = 0; i < rows; i += kSampleSpan) {
    const int m = static_cast<int>(std::min(kSampleSpan, rows - i));
    const T* below = on(s.l - 1).data() + i * ld[s.l - 1] + s.row;
    const T* delta_l = delta[s.l].data() + i * ld[s.l];
    const bool onto = add || i > 0;
    T* to = onto ? span_.data() + rank * stripe_size_ : g.p;
    // (BP4) dW^l = delta^lT a^{l-1}   (BP3) db^l = delta^lT 1: the column of ones in a
    if (net_.n(s.l) == 1)  // vectors along the inputs
      kernels_.gradient(1, m, s.rows, delta_l, ld[s.l], {below, ld[s.l - 1], panel}, block, to, 0,
                        scratch);
    else
      kernels_.gradient(s.rows, m, net_.n(s.l), below, ld[s.l - 1],
                        panels_[s.l].size() > 0
                            ? Right<T>{panels_[s.l].data() + i * panel, panel, held_ * panel}
                            : Right<T>{delta_l, ld[s.l], panel},
                        block, to, g.ld, scratch);
    if (onto) kernels_.add(g.p, to, s.rows * g.ld);
  }
}

template <class T>
void Layered<T>::take_rows(const Team& team, const Going<T>& going, std::ptrdiff_t rows,
                           Until until) {
  team.for_each(parts_, [&](int part, int) {
    const Range mine = share(rows, kRowGrain, part, parts_);
    for (std::ptrdiff_t i = mine.begin; i < mine.end; i += block_) {
      const Range now{i, std::min(i + block_, mine.end)};
      load(going, now);
      for (int l = 1; l <= net_.L(); ++l) forward(going, l, {now, {0, net_.n(l)}});
      if (until == Until::outputs) continue;
      loss(going, now, until == Until::back);
      if (until != Until::back) continue;
      for (int l = net_.L(); l > 1; --l) backward(going, l, {now, {0, net_.n(l - 1)}});
    }
  });
}

template <class T>
void Layered<T>::take_units(const Team& team, const Going<T>& going, std::ptrdiff_t rows,
                            Until until) {
  const auto by_rows = [&](const auto& body) {
    team.for_each(parts_, [&](int part, int) {
      const Range mine = share(rows, kRowGrain, part, parts_);
      if (mine.size() > 0) body(mine);
    });
  };
  const auto layer = [&](int l, const auto& body) {
    const std::ptrdiff_t n_l = net_.n(l);
    if (n_l < parts_ * kUnitGrain) {
      by_rows([&](Range mine) { body({mine, {0, n_l}}); });
      return;
    }
    team.for_each(parts_,
                  [&](int part, int) { body({{0, rows}, share(n_l, kUnitGrain, part, parts_)}); });
  };
  by_rows([&](Range mine) { load(going, mine); });
  for (int l = 1; l <= net_.L(); ++l) layer(l, [&](Tile tile) { forward(going, l, tile); });
  if (until == Until::outputs) return;
  by_rows([&](Range mine) { loss(going, mine, until == Until::back); });
  if (until != Until::back) return;
  for (int l = net_.L(); l > 1; --l) layer(l - 1, [&](Tile below) { backward(going, l, below); });
}

template <class T>
void Layered<T>::take(const Team& team, const Going<T>& going, std::ptrdiff_t rows, Until until) {
  if (wide_ && parts_ > 1 && rows < parts_ * kWideBlock)
    take_units(team, going, rows, until);
  else
    take_rows(team, going, rows, until);
}

template <class T>
double Layered<T>::cost(const Team& team, const Batch<T>& batch) {
  const double D = batch.objective->divisor(batch.weights(), net_.n(net_.L()));
  double sum = 0;
  for (std::ptrdiff_t from = 0; from < batch.m; from += group_) {
    const std::ptrdiff_t rows = std::min(group_, batch.m - from);
    take(team, {batch, D, from}, rows, Until::loss);
    sum = add_costs(sum, row_cost_.data(), rows);
  }
  return sum / D;
}

template <class T>
void Layered<T>::outputs(const Team& team, const Batch<T>& batch, T* out) {
  const int L = net_.L(), n_L = net_.n(L);
  for (std::ptrdiff_t from = 0; from < batch.m; from += group_) {
    const std::ptrdiff_t rows = std::min(group_, batch.m - from);
    take(team, {batch, 1, from}, rows, Until::outputs);
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      std::copy_n(a[L].data() + i * ld[L], n_L, out + (from + i) * n_L);
  }
}

template <class T>
std::ptrdiff_t Layered<T>::bytes() const {
  std::ptrdiff_t elements =
      y_.size() + weight_.size() + stripe_.size() + span_.size() + scratch_.size();
  for (const auto* buffers : {&a, &z, &delta, &dropped_, &panels_, &gradient_})
    for (const Buffer<T>& buffer : *buffers) elements += buffer.size();
  return elements * static_cast<std::ptrdiff_t>(sizeof(T)) +
         row_cost_.size() * static_cast<std::ptrdiff_t>(sizeof(double));
}

// --------------------------------------------------------------------------------- prediction

// What a prediction needs stays with the thread that asked, up to this: memory from the system
// costs as much as the products.
constexpr std::ptrdiff_t kKept = 8 << 20;

template <class T>
T* scratch_of(std::ptrdiff_t size, Buffer<T>& own) {
  static thread_local Buffer<T> kept;
  Buffer<T>& buffer = size * static_cast<std::ptrdiff_t>(sizeof(T)) <= kKept ? kept : own;
  if (buffer.size() < size) buffer.reset(size);
  return buffer.data();
}

// Few rows: the threads share the units of each layer, and each reads its part of W alone.
template <class T>
void predict_units(const Team& team, const Network<T>& net, const T* X, std::ptrdiff_t m, T* out) {
  constexpr int kUnits = 128;  // a whole number of panels on every instruction set
  const Kernels<T>& kernels = chainrule::kernels<T>();
  const std::ptrdiff_t ld = padded<T>(net.widest());
  const int L = net.L(), n_L = net.n(L), rows = static_cast<int>(m);
  Buffer<T> own;
  T* const buffers = scratch_of(2 * checked_multiply(m, ld), own);
  const T* below = X;
  std::ptrdiff_t ld_below = net.n(0);
  for (int l = 1; l <= L; ++l) {  // (Z), (A)
    T* const a = buffers + l % 2 * m * ld;
    team.for_each(team.size(), [&](int part, int) {
      const Range mine = share(net.n(l), kUnits, part, team.size());
      Right<T> W = weights(net, l, kernels);
      W.p += mine.begin;
      if (mine.size() > 0)
        kernels.forward(rows, net.n(l - 1), static_cast<int>(mine.size()), below, ld_below, W,
                        net.f[l], nullptr, a + mine.begin, ld);
    });
    below = a;
    ld_below = ld;
  }
  for (int i = 0; i < rows; ++i) std::copy_n(below + i * ld, n_L, out + i * n_L);
}

template <class T>
void predict_layered(const Team& team, const Network<T>& net, const T* X, std::ptrdiff_t m,
                     T* out) {
  const bool wide = padded<T>(net.widest()) * static_cast<std::ptrdiff_t>(sizeof(T)) > kWideRow;
  if (m < (wide ? kWideBlock : kRowGrain) * team.size()) {
    predict_units(team, net, X, m, out);
    return;
  }
  const Kernels<T>& kernels = chainrule::kernels<T>();
  const int L = net.L(), n_0 = net.n(0), n_L = net.n(L);
  const std::ptrdiff_t ld = padded<T>(net.widest());
  const std::ptrdiff_t block =
      wide ? kWideBlock
           : std::clamp<std::ptrdiff_t>(kThreadCache / (ld * 2 * sizeof(T)), kRowGrain, kWideBlock);
  const int parts = team.size();
  const std::ptrdiff_t scratch = 2 * checked_multiply(std::min(block, m), ld);
  Buffer<T> own;
  T* const buffers = scratch_of(parts * scratch, own);
  team.for_each(parts, [&](int part, int rank) {
    T* const ping = buffers + rank * scratch;
    const Range mine = share(m, kRowGrain, part, parts);
    for (std::ptrdiff_t i = mine.begin; i < mine.end; i += block) {
      const int rows = static_cast<int>(std::min(block, mine.end - i));
      const T* below = X + i * n_0;
      std::ptrdiff_t ld_below = n_0;
      T* a = ping;
      for (int l = 1; l <= L; ++l) {  // (Z), (A)
        a = ping + (l % 2) * (scratch / 2);
        kernels.forward(rows, net.n(l - 1), net.n(l), below, ld_below, weights(net, l, kernels),
                        net.f[l], nullptr, a, ld);
        below = a;
        ld_below = ld;
      }
      for (int r = 0; r < rows; ++r) std::copy_n(a + r * ld, n_L, out + (i + r) * n_L);
    }
  });
}

template class Layered<float>;
template class Layered<double>;
template void predict_layered(const Team&, const Network<float>&, const float*, std::ptrdiff_t,
                              float*);
template void predict_layered(const Team&, const Network<double>&, const double*, std::ptrdiff_t,
                              double*);

}  // namespace chainrule
