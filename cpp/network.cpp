#include "network.hpp"

#include <array>

namespace chainrule {
namespace {

struct ActivationName {
  const char* name;
  bool needs_z;
};

constexpr std::array<ActivationName, static_cast<std::size_t>(Activation::count)> kNames = {{
#define CHAINRULE_ROW(name, needs_z) {#name, needs_z},
    CHAINRULE_ACTIVATIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
}};

bool needs_z(Activation f) { return kNames[static_cast<std::size_t>(f)].needs_z; }

// A layer with longer rows is packed: its rows lie too far apart for cache sets and page tables.
constexpr std::ptrdiff_t kWideRow = 512;  // bytes

// Rows that a packing of all weights has to be worth.
constexpr std::ptrdiff_t kFewRows = 32;

constexpr std::ptrdiff_t kNearCache = 32 << 10;     // a share of L1 and L2 for activations
constexpr std::ptrdiff_t kThreadCache = 384 << 10;  // a share of one core's L2
constexpr std::ptrdiff_t kGroupMemory = 64 << 20;   // for networks too wide for any cache
constexpr std::ptrdiff_t kWideBlock = 256;          // rows that share one stream of wide weights

// Rows of a stripe: few enough that its gradient stays in L2 until the update and that there are
// some for every thread, enough that each look at delta feeds many tiles.
constexpr std::ptrdiff_t kStripeBytes = 256 << 10;
constexpr int kStripeGrain = 32;  // a whole number of panels on every instruction set
constexpr std::ptrdiff_t kStripeLeast = 64;
constexpr std::ptrdiff_t kTallStripe = 256;

std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

template <class T>
bool is_wide(const Network<T>& net, int l) {
  return static_cast<std::ptrdiff_t>(net.n(l) * sizeof(T)) > kWideRow;
}

template <class T>
int stripe_rows(const Network<T>& net, int l, int threads) {
  const std::ptrdiff_t row_bytes = padded<T>(net.n(l)) * static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t fits = kStripeBytes / row_bytes / kStripeGrain * kStripeGrain;
  const std::ptrdiff_t fair = round_up(net.n(l - 1) / (2 * threads), kStripeGrain);
  return static_cast<int>(std::clamp<std::ptrdiff_t>(std::min(fair, std::max(fits, kStripeLeast)),
                                                     kStripeGrain, kTallStripe));
}

}  // namespace

Activation activation_named(const std::string& name) {
  std::string allowed;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i].name) return static_cast<Activation>(i);
    allowed += (i == 0 ? "" : ", ") + std::string(kNames[i].name);
  }
  throw std::invalid_argument("activation: \"" + name + "\" is unknown; allowed: " + allowed);
}

const char* name_of(Activation f) { return kNames[static_cast<std::size_t>(f)].name; }

template <class T>
Network<T>::Network(std::vector<int> widths, const std::vector<std::string>& activations)
    : layout(std::move(widths)), f(1, Activation::identity) {
  if (activations.size() + 1 != layout.n.size())
    throw std::invalid_argument("activations: one for each layer");
  for (const std::string& name : activations) f.push_back(activation_named(name));
  theta.reset(layout.size);
}

template <class T>
double Network<T>::flops(std::ptrdiff_t m) const {
  double products = 0;
  for (int l = 1; l <= L(); ++l) products += static_cast<double>(n(l - 1)) * n(l);
  return 2 * products * static_cast<double>(m);
}

// ------------------------------------------------------------------------------------- weights

template <class T>
Weights<T>::Weights(const Network<T>& net, For use)
    : net_(net), kernels_(chainrule::kernels<T>()), forward_(net.L() + 1), backward_(net.L() + 1) {
  const std::ptrdiff_t panel = kernels_.panel;
  for (int l = 1; l <= net.L(); ++l) {
    if (use != For::few_rows && is_wide(net, l))
      forward_[l].reset(checked_multiply(round_up(net.n(l), panel), net.n(l - 1) + 1));
    // With one output W^l is one row of inputs already.
    if (use == For::both && l > 1 && net.n(l) > 1)
      backward_[l].reset(checked_multiply(round_up(net.n(l - 1), panel), net.n(l)));
  }
}

template <class T>
void Weights<T>::pack(const Team& team) {
  for (int l = 1; l <= net_.L(); ++l) {
    const Range mine = share(net_.n(l - 1) + 1, kStripeGrain, team);
    if (mine.begin < mine.end)
      pack_rows(l, static_cast<int>(mine.begin), static_cast<int>(mine.end - mine.begin));
  }
}

template <class T>
void Weights<T>::pack_rows(int l, int row, int rows) {
  const std::ptrdiff_t panel = kernels_.panel;
  const std::ptrdiff_t n_in = net_.n(l - 1), n_out = net_.n(l);
  const T* W = net_.W(l) + row * n_out;
  if (forward_[l].size() > 0)
    kernels_.pack(forward_[l].data() + row * panel, (n_in + 1) * panel, W, n_out, rows,
                  static_cast<int>(n_out));
  if (backward_[l].size() > 0)  // without b
    kernels_.pack_transposed(backward_[l].data() + row * n_out, n_out * panel, W, n_out,
                             static_cast<int>(n_out),
                             static_cast<int>(std::min<std::ptrdiff_t>(rows, n_in - row)));
}

template <class T>
Right<T> Weights<T>::forward(int l) const {
  const std::ptrdiff_t panel = kernels_.panel;
  if (forward_[l].size() > 0) return {forward_[l].data(), panel, (net_.n(l - 1) + 1) * panel};
  return {net_.W(l), net_.n(l), panel};
}

template <class T>
Right<T> Weights<T>::backward(int l) const {
  const std::ptrdiff_t panel = kernels_.panel;
  if (backward_[l].size() > 0) return {backward_[l].data(), panel, net_.n(l) * panel};
  return {net_.W(l), 0, panel};
}

// -------------------------------------------------------------------------------------- passes

template <class T>
Passes<T>::Passes(const Network<T>& net, std::ptrdiff_t most_rows, int threads, Keep keep)
    : weights(net, keep == Keep::forward ? Weights<T>::For::forward : Weights<T>::For::both),
      net(net),
      kernels(chainrule::kernels<T>()),
      ld(net.L() + 1),
      a(net.L() + 1),
      z(net.L() + 1),
      delta(net.L() + 1),
      panels_(net.L() + 1),
      gradient_(net.L() + 1),
      stripes_(threads) {
  std::ptrdiff_t row_bytes = padded<T>(net.n(net.L()) + 1) * sizeof(T);  // of Y
  for (int l = 0; l <= net.L(); ++l) {
    ld[l] = padded<T>(net.n(l) + 1);  // one more for the constant 1 whose weight is b
    row_bytes += 2 * ld[l] * static_cast<std::ptrdiff_t>(sizeof(T));
  }

  // Activations of a block stay in L1 or L2 on their way up and down. A group is what the threads
  // hold between two barriers; a network whose single block fills the cache takes many rows
  // at once instead, because then its weights are the larger stream.
  const bool wide = kSampleBlock * row_bytes > kThreadCache;
  block_ = wide ? kWideBlock : std::clamp(kNearCache / row_bytes, kRowGrain, kWideBlock);
  group_ = (wide ? kGroupMemory : threads * kThreadCache) / row_bytes;
  group_ = std::max<std::ptrdiff_t>(group_ / kSampleBlock, 1) * kSampleBlock;
  group_ = std::min(group_, round_up(std::max<std::ptrdiff_t>(most_rows, 1), kSampleBlock));
  if (keep == Keep::everything) group_ = round_up(most_rows, kSampleBlock);
  held_ = std::min(group_, std::max<std::ptrdiff_t>(most_rows, 1));

  for (int l = 0; l <= net.L(); ++l) {
    a[l].reset(checked_multiply(held_, ld[l]));
    if (l == 0 || keep == Keep::forward) continue;
    delta[l].reset(checked_multiply(held_, ld[l]));
    if (is_wide(net, l))
      panels_[l].reset(checked_multiply(held_, round_up(net.n(l), kernels.panel)));
    if (keep == Keep::everything || needs_z(net.f[l])) z[l].reset(checked_multiply(held_, ld[l]));
    if (most_rows > group_) gradient_[l].reset(checked_multiply(net.n(l - 1) + 1, gradient_ld(l)));
  }
  y_.reset(checked_multiply(held_, ld[net.L()]));
  row_cost_.reset(held_);

  // Stripes go to the threads in order, so that each has about the same number of products.
  double total = 0;
  for (int l = 1; l <= net.L(); ++l) total += (net.n(l - 1) + 1.0) * net.n(l);
  double done = 0;
  int tallest = 1;
  for (int l = 1; l <= net.L(); ++l) {
    const int all = net.n(l - 1) + 1;
    const int step = net.n(l) == 1 ? all : stripe_rows(net, l, threads);
    for (int row = 0; row < all; row += step) {
      // The row of b goes with the stripe before it: alone it would be a tile of one row.
      const int rows = all - row <= step + 1 ? all - row : step;
      const int member = static_cast<int>(done / total * threads);
      stripes_[std::min(member, threads - 1)].push_back({l, row, rows});
      if (net.n(l) > 1) tallest = std::max(tallest, rows);
      stripe_size_ = std::max(stripe_size_, rows * gradient_ld(l));
      done += static_cast<double>(rows) * net.n(l);
      if (rows > step) break;
    }
  }
  if (keep == Keep::forward) return;
  stripe_size_ = padded<T>(stripe_size_);
  if (most_rows <= group_) stripe_.reset(threads * stripe_size_);
  scratch_size_ = padded<T>(kSampleBlock * (tallest + kernels.panel));
  scratch_.reset(threads * scratch_size_);
}

template <class T>
void Passes<T>::load(const Batch<T>& batch, std::ptrdiff_t from, Range rows) {
  const int n_0 = net.n(0), n_L = net.n(net.L());
  for (std::ptrdiff_t i = rows.begin; i < rows.end; ++i) {
    const std::ptrdiff_t row = batch.order != nullptr ? batch.order[from + i] : from + i;
    T* x = a[0].data() + i * ld[0];
    std::copy_n(batch.X + row * n_0, n_0, x);
    x[n_0] = 1;
    std::copy_n(batch.Y + row * n_L, n_L, y_.data() + i * ld[net.L()]);
  }
}

template <class T>
void Passes<T>::forward(Range rows) {
  const int m = static_cast<int>(rows.end - rows.begin);
  for (int l = 1; l <= net.L(); ++l) {
    const T* below = a[l - 1].data() + rows.begin * ld[l - 1];
    T* z_l = z[l].size() > 0 ? z[l].data() + rows.begin * ld[l] : nullptr;
    T* a_l = a[l].data() + rows.begin * ld[l];
    // (Z) z^l = a^{l-1} W^lT + b^l   (A) a^l = f(z^l)
    kernels.forward(m, net.n(l - 1), net.n(l), below, ld[l - 1], weights.forward(l), net.f[l], z_l,
                    a_l, ld[l]);
    for (int i = 0; i < m; ++i) a_l[i * ld[l] + net.n(l)] = 1;
  }
}

template <class T>
void Passes<T>::loss(Range rows, std::ptrdiff_t m, bool with_delta) {
  const int L = net.L();
  const std::ptrdiff_t at = rows.begin * ld[L];
  const int count = static_cast<int>(rows.end - rows.begin);
  const T scale = static_cast<T>(2.0 / (static_cast<double>(m) * net.n(L)));
  T* delta_L = with_delta ? delta[L].data() + at : nullptr;
  // (BP1) delta^L = dC/da^L * f'(z^L), with dC/da^L = 2 / (m n_L) (a^L - y)
  kernels.mse(count, net.n(L), a[L].data() + at, y_.data() + at, ld[L], scale, delta_L,
              row_cost_.data() + rows.begin);
  if (with_delta && net.f[L] != Activation::identity)
    kernels.derive(net.f[L], delta_L, z[L].size() > 0 ? z[L].data() + at : nullptr,
                   a[L].data() + at, count * ld[L]);
}

template <class T>
void Passes<T>::backward(Range rows) {
  const int m = static_cast<int>(rows.end - rows.begin);
  for (int l = net.L(); l >= 1; --l) {
    if (panels_[l].size() > 0)
      kernels.pack(panels_[l].data() + rows.begin * kernels.panel, held_ * kernels.panel,
                   delta[l].data() + rows.begin * ld[l], ld[l], m, net.n(l));
    if (l == 1) return;
    const T* above = delta[l].data() + rows.begin * ld[l];
    const std::ptrdiff_t at = rows.begin * ld[l - 1];
    // (BP2) delta^{l-1} = (delta^l W^l) * f'(z^{l-1})
    kernels.backward(m, net.n(l), net.n(l - 1), above, ld[l], weights.backward(l), net.f[l - 1],
                     z[l - 1].size() > 0 ? z[l - 1].data() + at : nullptr, a[l - 1].data() + at,
                     delta[l - 1].data() + at, ld[l - 1]);
  }
}

// With one output dW^l is one row, and stands like W^l: one element for each input.
template <class T>
std::ptrdiff_t Passes<T>::gradient_ld(int l) const {
  return net.n(l) == 1 ? 1 : padded<T>(net.n(l));
}

template <class T>
typename Passes<T>::Block Passes<T>::gradient_of(const Stripe& s, int rank) {
  const std::ptrdiff_t ld_g = gradient_ld(s.l);
  if (stripe_.size() > 0) return {stripe_.data() + rank * stripe_size_, ld_g};
  return {gradient_[s.l].data() + s.row * ld_g, ld_g};
}

template <class T>
void Passes<T>::add_gradient(const Stripe& s, Block g, std::ptrdiff_t rows, bool add, int rank) {
  const int m = static_cast<int>(rows);
  const std::ptrdiff_t panel = kernels.panel;
  const T* below = a[s.l - 1].data() + s.row;
  const T* delta_l = delta[s.l].data();
  T* scratch = scratch_.data() + rank * scratch_size_;
  // (BP4) dW^l = delta^lT a^{l-1}   (BP3) db^l = delta^lT 1: the column of ones in a
  if (net.n(s.l) == 1)  // vectors along the inputs
    kernels.gradient(1, m, s.rows, delta_l, ld[s.l], {below, ld[s.l - 1], panel}, kSampleBlock, add,
                     g.p, 0, scratch);
  else
    kernels.gradient(s.rows, m, net.n(s.l), below, ld[s.l - 1],
                     panels_[s.l].size() > 0 ? Right<T>{panels_[s.l].data(), panel, held_ * panel}
                                             : Right<T>{delta_l, ld[s.l], panel},
                     kSampleBlock, add, g.p, g.ld, scratch);
}

template <class T>
double Passes<T>::cost(const Team& team, const Batch<T>& batch) {
  double sum = 0;
  for (std::ptrdiff_t from = 0; from < batch.m; from += group_) {
    const std::ptrdiff_t rows = std::min(group_, batch.m - from);
    const Range mine = share(rows, kRowGrain, team);
    for (std::ptrdiff_t i = mine.begin; i < mine.end; i += block_) {
      const Range now{i, std::min(i + block_, mine.end)};
      load(batch, from, now);
      forward(now);
      loss(now, batch.m, false);
    }
    team.barrier();
    for (std::ptrdiff_t i = 0; i < rows; ++i) sum += row_cost_.data()[i];  // (MSE)
    team.barrier();
  }
  return sum / (static_cast<double>(batch.m) * net.n(net.L()));
}

// --------------------------------------------------------------------------------- prediction

template <class T>
void predict(const Network<T>& net, const T* X, std::ptrdiff_t m, T* out) {
  const Kernels<T>& kernels = chainrule::kernels<T>();
  const int L = net.L(), n_0 = net.n(0), n_L = net.n(L);
  const int widest = *std::max_element(net.layout.n.begin() + 1, net.layout.n.end());
  const std::ptrdiff_t ld = padded<T>(widest);
  const std::ptrdiff_t block =
      std::clamp<std::ptrdiff_t>(kThreadCache / (ld * 2 * sizeof(T)), kRowGrain, kWideBlock);
  Weights<T> weights(net, m < kFewRows ? Weights<T>::For::few_rows : Weights<T>::For::forward);
  const int threads = worthwhile_threads(net.flops(m), 0);
  const std::ptrdiff_t scratch = 2 * checked_multiply(std::min(block, m), ld);
  Buffer<T> buffers(threads * scratch);

  const auto body = [&](const Team& team) {
    weights.pack(team);
    team.barrier();
    T* const ping = buffers.data() + team.rank * scratch;
    const Range mine = share(m, kRowGrain, team);
    for (std::ptrdiff_t i = mine.begin; i < mine.end; i += block) {
      const int rows = static_cast<int>(std::min(block, mine.end - i));
      const T* below = X + i * n_0;
      std::ptrdiff_t ld_below = n_0;
      T* a = ping;
      for (int l = 1; l <= L; ++l) {  // (Z), (A)
        a = ping + (l % 2) * (scratch / 2);
        kernels.forward(rows, net.n(l - 1), net.n(l), below, ld_below, weights.forward(l), net.f[l],
                        nullptr, a, ld);
        below = a;
        ld_below = ld;
      }
      for (int r = 0; r < rows; ++r) std::copy_n(a + r * ld, n_L, out + (i + r) * n_L);
    }
  };
  parallel(threads, body);
}

template struct Network<float>;
template struct Network<double>;
template class Weights<float>;
template class Weights<double>;
template class Passes<float>;
template class Passes<double>;
template void predict(const Network<float>&, const float*, std::ptrdiff_t, float*);
template void predict(const Network<double>&, const double*, std::ptrdiff_t, double*);

}  // namespace chainrule
