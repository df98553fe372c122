#include "network.hpp"

#include <array>
#include <cmath>

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

constexpr std::ptrdiff_t kFusedTheta = 5 << 20;  // bytes of theta that a core streams with ease,
constexpr std::ptrdiff_t kFusedDesk = 4 << 20;   // and of a block of samples
constexpr std::ptrdiff_t kSpansPerThread = 4;    // of a round, to even out the threads
constexpr std::ptrdiff_t kSlotMemory = 1 << 20;  // elements of all gradients of blocks

template <class T>
std::ptrdiff_t desk_ld(std::ptrdiff_t samples) {
  constexpr std::ptrdiff_t line = kPad / static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t lines = blocks_of(samples, line);
  return (lines % 4 == 0 ? lines + 1 : lines) * line;  // else the rows meet in a few cache sets
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

bool needs_z(Activation f) { return kNames[static_cast<std::size_t>(f)].needs_z; }

template <class T>
Network<T>::Network(std::vector<int> widths, const std::vector<std::string>& activations)
    : layout(std::move(widths)), f(1, Activation::identity) {
  if (activations.size() + 1 != layout.n.size())
    throw std::invalid_argument("activations: one for each layer");
  for (const std::string& name : activations) f.push_back(activation_named(name));
  dropout.assign(layout.n.size(), 0);
  theta.reset(layout.size);
}

template <class T>
double Network<T>::flops(std::ptrdiff_t m) const {
  double products = 0;
  for (int l = 1; l <= L(); ++l) products += static_cast<double>(n(l - 1)) * n(l);
  return 2 * products * static_cast<double>(m);
}

template <class T>
Drop<T> drop_of(const Network<T>& net, int l, std::uint64_t key, std::ptrdiff_t first,
                bool columns) {
  constexpr double kBounds = 1 << 24;
  // Odd numbers far from each other: places of one layer do not meet.
  constexpr std::uint32_t kSample = 0x9e3779b1U, kUnit = 0x85ebca6bU;
  const double bound = std::nearbyint(net.dropout[l] * kBounds);
  const std::uint64_t own = key + static_cast<std::uint64_t>(l) * 0x9e3779b97f4a7c15U;
  const std::uint32_t sample = static_cast<std::uint32_t>(first) * kSample;
  Drop<T> how{{static_cast<std::uint32_t>(own), static_cast<std::uint32_t>(own >> 32)},
              static_cast<std::int32_t>(bound),
              static_cast<T>(1 / (1 - bound / kBounds)),
              sample,
              kSample,
              0,
              kUnit};
  if (columns) {
    std::swap(how.row, how.col);
    std::swap(how.row_step, how.col_step);
  }
  return how;
}

double add_costs(double sum, const double* row_cost, std::ptrdiff_t rows) {
  for (std::ptrdiff_t from = 0; from < rows; from += kSampleBlock) {
    double block = 0;
    const std::ptrdiff_t end = std::min(from + kSampleBlock, rows);
    for (std::ptrdiff_t i = from; i < end; ++i) block += row_cost[i];
    sum += block;
  }
  return sum;
}

// -------------------------------------------------------------------------------------- passes

template <class T>
bool Fused<T>::suits(const Network<T>& net) {
  std::ptrdiff_t units = 0;
  for (int l = 0; l <= net.L(); ++l) units += 2 * net.n(l);
  const auto element = static_cast<std::ptrdiff_t>(sizeof(T));
  return net.layout.size * element <= kFusedTheta && units * kSampleBlock * element <= kFusedDesk;
}

template <class T>
Fused<T>::Fused(const Network<T>& net, std::ptrdiff_t most_rows, int threads, bool with_gradient)
    : net_(net),
      kernels_(chainrule::kernels<T>()),
      size_(net.layout.size),
      slot_(round_up(size_, kPad / static_cast<std::ptrdiff_t>(sizeof(T)))),
      block_(std::clamp<std::ptrdiff_t>(most_rows, 1, kSampleBlock)),
      ld_(desk_ld<T>(block_)) {
  const int L = net.L();
  most_rows = std::max<std::ptrdiff_t>(most_rows, 1);
  // Every thread its own blocks, if there are rows enough to keep all of them busy most of the
  // time.
  const std::ptrdiff_t block = block_of(most_rows), blocks = blocks_of(most_rows, block);
  const std::ptrdiff_t busiest = blocks_of(blocks, threads) * block;
  together_ = with_gradient && threads > 1 && 5 * most_rows < 4 * threads * busiest;
  const bool alone = threads > 1 && !together_;
  const std::ptrdiff_t spans = blocks_of(most_rows, kSampleSpan);
  if (alone &&
      (spans < threads || (spans < kSpansPerThread * threads && blocks * slot_ < kSlotMemory)))
    unit_ = 1;
  round_ = std::min(spans, alone ? kSpansPerThread * threads : 1) * kSampleSpan;
  row_cost_.reset(std::min(round_, round_up(most_rows, kSampleBlock)));

  // One arena for all desks; first the sizes, then the places.
  const std::ptrdiff_t line = kPad / static_cast<std::ptrdiff_t>(sizeof(T));
  for (int l = 1; l <= L && with_gradient; ++l)
    scratch_size_ = std::max(scratch_size_, kernels_.gradient_scratch(net.n(l - 1) + 1, net.n(l),
                                                                      static_cast<int>(block_)));
  scratch_size_ = round_up(scratch_size_, line) + line;
  std::ptrdiff_t used = 0;
  const auto place = [&](std::ptrdiff_t size) {
    T* const p = arena_.size() > 0 ? arena_.data() + used : nullptr;
    used += round_up(size, line) + line;  // odd lines keep arrays out of each other's sets
    return p;
  };
  const auto furnish = [&](Desk& desk) {
    desk.a.assign(L + 1, nullptr);
    desk.z = desk.delta = desk.on = desk.a;
    for (int l = 0; l <= L; ++l) {
      desk.a[l] = place((net.n(l) + 1) * ld_);
      if (l > 0 && with_gradient && needs_z(net.f[l])) desk.z[l] = place(net.n(l) * ld_);
      if (l > 0 && with_gradient) desk.delta[l] = place(net.n(l) * ld_);
      desk.on[l] = desk.a[l];
      if (with_gradient && net.dropout[l] > 0) desk.on[l] = place((net.n(l) + 1) * ld_);
    }
    desk.y = place(net.n(L) * ld_);
    desk.weight = place(ld_);
    desk.block_sum = place(with_gradient && most_rows > kSampleBlock ? size_ : 0);
    desk.scratch = place(scratch_size_ * (together_ ? threads : 1));
  };
  desks_.resize(together_ ? 1 : threads);
  furnish(desks_[0]);
  arena_.reset(checked_multiply(used, static_cast<std::ptrdiff_t>(desks_.size())));
  used = 0;
  for (Desk& desk : desks_) {
    furnish(desk);
    for (int l = 0; l <= L; ++l)  // the constant 1 whose weight is b
      std::fill_n(desk.on[l] + net.n(l) * ld_, ld_, T(1));
  }
  if (!with_gradient) return;
  const std::ptrdiff_t slots = blocks_of(std::min(round_, most_rows), unit_ * block);
  slots_.reset(checked_multiply(slots, slot_));
  if (most_rows > round_) total_.reset(size_);
}

template <class T>
std::ptrdiff_t Fused<T>::bytes() const {
  return (arena_.size() + slots_.size() + total_.size()) * static_cast<std::ptrdiff_t>(sizeof(T)) +
         row_cost_.size() * static_cast<std::ptrdiff_t>(sizeof(double));
}

template <class T>
void Fused<T>::load(const Desk& desk, const Going<T>& going, Range samples) {
  const Batch<T>& batch = going.batch;
  const int n_0 = net_.n(0), count = static_cast<int>(samples.size());
  const int n_Y = batch.objective->targets(net_.n(net_.L()));
  const std::ptrdiff_t first = going.from + samples.begin;
  const bool ordered = batch.order != nullptr;
  const auto gather = [&](T* to, const T* rows, int n) {
    kernels_.gather(to + samples.begin, ld_, ordered ? rows : rows + first * n,
                    rows + batch.rows * n, ordered ? batch.order + first : nullptr, n, count);
  };
  gather(desk.a[0], batch.X, n_0);
  if (batch.Y != nullptr) gather(desk.y, batch.Y, n_Y);
  if (batch.weight != nullptr) gather(desk.weight, batch.weight, 1);
  batch.check(kernels_, first, first + count, n_0, n_Y);
  batch.call_ahead(first, first + count, n_0, n_Y);
}

template <class T>
void Fused<T>::forward(const Desk& desk, const Going<T>& going, Range samples) {
  const int count = static_cast<int>(samples.size());
  for (int l = 1; l <= net_.L(); ++l) {
    T* const z_l = desk.z[l] != nullptr ? desk.z[l] + samples.begin : nullptr;
    // (Z) z^l = W^l a^{l-1} + b^l   (A) a^l = f(z^l)
    kernels_.forward_columns(net_.n(l), net_.n(l - 1), count, net_.W(l),
                             desk.on[l - 1] + samples.begin, ld_, net_.f[l], z_l,
                             desk.a[l] + samples.begin, ld_);
    if (going.drops(net_, l))
      kernels_.drop(drop_of(net_, l, *going.batch.drop_key, going.from + samples.begin, true),
                    net_.n(l), count, desk.a[l] + samples.begin, desk.on[l] + samples.begin, ld_);
    else if (desk.on[l] != desk.a[l])
      for (std::ptrdiff_t j = 0; j < net_.n(l); ++j)
        std::copy_n(desk.a[l] + j * ld_ + samples.begin, count,
                    desk.on[l] + j * ld_ + samples.begin);
  }
}

template <class T>
void Fused<T>::loss(const Desk& desk, const Going<T>& going, Range samples, bool with_delta,
                    double* row_cost) {
  const Batch<T>& batch = going.batch;
  const int L = net_.L(), n_L = net_.n(L), count = static_cast<int>(samples.size());
  const Objective<T>& objective = *batch.objective;
  const T* const a_L = desk.a[L] + samples.begin;
  T* const delta_L = with_delta ? desk.delta[L] + samples.begin : nullptr;
  // (BP1) delta^L = dC/da^L * f'(z^L)
  const LossInput<T> in{objective.loss,
                        objective.numbers(),
                        a_L,
                        desk.y + samples.begin,
                        ld_,
                        batch.weight != nullptr ? desk.weight + samples.begin : nullptr,
                        static_cast<T>(1 / going.D)};
  kernels_.loss_columns(n_L, count, in, delta_L, row_cost);
  if (!with_delta || net_.f[L] == Activation::identity) return;
  const T* const z_L = desk.z[L] != nullptr ? desk.z[L] + samples.begin : nullptr;
  for (std::ptrdiff_t j = 0; j < n_L; ++j)
    kernels_.derive(net_.f[L], delta_L + j * ld_, z_L != nullptr ? z_L + j * ld_ : nullptr,
                    a_L + j * ld_, count);
}

template <class T>
void Fused<T>::backward(const Desk& desk, const Going<T>& going, Range samples) {
  const std::ptrdiff_t panel = kernels_.panel;
  for (int l = net_.L(); l > 1; --l) {
    const T* const z_below = desk.z[l - 1] != nullptr ? desk.z[l - 1] + samples.begin : nullptr;
    // (BP2) delta^{l-1} = (W^lT delta^l) * f'(z^{l-1})
    kernels_.backward(net_.n(l - 1), net_.n(l), static_cast<int>(samples.size()), net_.W(l),
                      net_.n(l), Right<T>{desk.delta[l] + samples.begin, ld_, panel}, net_.f[l - 1],
                      z_below, desk.a[l - 1] + samples.begin, desk.delta[l - 1] + samples.begin,
                      ld_);
    if (going.drops(net_, l - 1))  // da/da before dropout
      kernels_.drop(drop_of(net_, l - 1, *going.batch.drop_key, going.from + samples.begin, true),
                    net_.n(l - 1), static_cast<int>(samples.size()),
                    desk.delta[l - 1] + samples.begin, desk.delta[l - 1] + samples.begin, ld_);
  }
}

// Slots of gradients, each member filling some of them alone.
template <class T>
void Fused<T>::spans_alone(const Team& team, const Going<T>& going, std::ptrdiff_t rows) {
  const std::ptrdiff_t size = block_of(going.batch.m), unit_rows = unit_ * size;
  team.for_each(static_cast<int>(blocks_of(rows, unit_rows)), [&](int unit, int rank) {
    const Desk& desk = desks_[rank];
    T* const slot = slots_.data() + unit * slot_;
    const std::ptrdiff_t begin = unit * unit_rows, end = std::min(begin + unit_rows, rows);
    for (std::ptrdiff_t i = begin; i < end; i += size) {
      const Range all{0, std::min(size, end - i)};
      const Going<T> block{going.batch, going.D, going.from + i};
      load(desk, block, all);
      forward(desk, block, all);
      loss(desk, block, all, true, row_cost_.data() + i);
      backward(desk, block, all);
      const bool first = i == begin;
      T* const g = first ? slot : desk.block_sum;
      gradient(desk, static_cast<int>(all.size()), 0, 1, g, desk.scratch,
               [](std::ptrdiff_t, const T*, std::ptrdiff_t) {});
      if (!first) kernels_.add(slot, g, size_);
    }
  });
}

// One block on the one desk; the members share its samples.
template <class T>
void Fused<T>::pass_together(const Team& team, const Going<T>& block) {
  const Desk& desk = desks_[0];
  const std::ptrdiff_t count = std::min(block_of(block.batch.m), block.batch.m - block.from);
  const std::ptrdiff_t first = block.from % round_;  // of row_cost_
  const int parts = team.size();
  team.for_each(parts, [&](int part, int) {
    const Range mine = share(count, kernels_.panel, part, parts);
    if (mine.size() == 0) return;
    load(desk, block, mine);
    forward(desk, block, mine);
    loss(desk, block, mine, true, row_cost_.data() + first + mine.begin);
    backward(desk, block, mine);
  });
}

// One slot; the members share the samples of a block, then the rows of its gradient.
template <class T>
void Fused<T>::spans_together(const Team& team, const Going<T>& going, std::ptrdiff_t rows) {
  const std::ptrdiff_t size = block_of(going.batch.m);
  for (std::ptrdiff_t i = 0; i < rows; i += size) {
    pass_together(team, {going.batch, going.D, going.from + i});
    T* const g = i == 0 ? slots_.data() : desks_[0].block_sum;
    gradient_together(team, static_cast<int>(std::min(size, rows - i)), g,
                      [&](std::ptrdiff_t at, const T* piece, std::ptrdiff_t n) {
                        if (i > 0) kernels_.add(slots_.data() + at, piece, n);
                      });
  }
}

// The slots of a round into one sum: blocks within spans, then spans, in order.
template <class T>
void Fused<T>::add_slots(const Batch<T>& batch, std::ptrdiff_t rows, bool first, Range theta) {
  const std::ptrdiff_t units = blocks_of(rows, unit_ * block_of(batch.m));
  const std::ptrdiff_t of_span = kSpanBlocks / unit_;
  T* const g = slots_.data() + theta.begin;
  T* const sum = total_.size() > 0 ? total_.data() + theta.begin : g;
  for (std::ptrdiff_t span = 0; span < units; span += of_span) {
    for (std::ptrdiff_t u = span + 1; u < std::min(span + of_span, units); ++u)
      kernels_.add(g + span * slot_, g + u * slot_, theta.size());
    if (span > 0 || !first)
      kernels_.add(sum, g + span * slot_, theta.size());
    else if (sum != g)
      std::copy_n(g, theta.size(), sum);
  }
}

template <class T>
double Fused<T>::cost(const Team& team, const Batch<T>& batch) {
  const double D = batch.objective->divisor(batch.weights(), net_.n(net_.L()));
  double sum = 0;
  const Team members = together_ ? Team() : team;  // for each a desk
  for (std::ptrdiff_t from = 0; from < batch.m; from += round_) {
    const std::ptrdiff_t rows = std::min(round_, batch.m - from);
    const int blocks = static_cast<int>(blocks_of(rows, kSampleBlock));
    members.for_each(blocks, [&](int block, int rank) {
      const std::ptrdiff_t i = block * kSampleBlock;
      const Range all{0, std::min(kSampleBlock, rows - i)};
      const Going<T> going{batch, D, from + i};
      load(desks_[rank], going, all);
      forward(desks_[rank], going, all);
      loss(desks_[rank], going, all, false, row_cost_.data() + i);
    });
    sum = add_costs(sum, row_cost_.data(), rows);
  }
  return sum / D;
}

template <class T>
void Fused<T>::outputs(const Team& team, const Batch<T>& batch, T* out) {
  const int n_L = net_.n(net_.L()), blocks = static_cast<int>(blocks_of(batch.m, kSampleBlock));
  const Team members = together_ ? Team() : team;  // for each a desk
  members.for_each(blocks, [&](int block, int rank) {
    const Desk& desk = desks_[rank];
    const std::ptrdiff_t i = block * kSampleBlock;
    const Range all{0, std::min(kSampleBlock, batch.m - i)};
    const Going<T> going{batch, 1, i};
    load(desk, going, all);
    forward(desk, going, all);
    kernels_.scatter(out + i * n_L, desk.a[net_.L()], ld_, n_L, static_cast<int>(all.size()));
  });
}

template struct Network<float>;
template struct Network<double>;
template class Fused<float>;
template class Fused<double>;
template Drop<float> drop_of(const Network<float>&, int, std::uint64_t, std::ptrdiff_t, bool);
template Drop<double> drop_of(const Network<double>&, int, std::uint64_t, std::ptrdiff_t, bool);

}  // namespace chainrule
