#include "training.hpp"

#include <array>
#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace chainrule {
namespace {

// Steps between two looks at the clock: about 10 us of arithmetic, at least.
constexpr double kFlopsPerLook = 1e6;
constexpr double kMostStepsPerLook = 1000;

// Bytes of a workspace that stay with the network; larger ones go back to the system.
constexpr std::ptrdiff_t kMostKept = 128 << 20;

struct RuleName {
  const char* name;
  int states;
};

constexpr std::array<RuleName, static_cast<std::size_t>(Rule::count)> kRules = {{
#define CHAINRULE_ROW(name, states) {#name, states},
    CHAINRULE_RULES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
}};

// Work between two copies of theta and the state, for each number: a copy costs about 40.
constexpr double kFlopsPerKeep = 2000;

std::uint64_t mix(std::uint64_t x) {  // the finaliser of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

template <class T>
void keep(const Buffer<T>& from, Buffer<T>& to, Range range) {
  if (range.size() > 0)
    std::copy(from.data() + range.begin, from.data() + range.end, to.data() + range.begin);
}

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;

}  // namespace

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t stream, std::uint64_t counter) {
  const std::uint64_t key = mix(seed + kGolden) ^ mix(stream * kGolden + 1);
  return mix(key + (counter + 1) * kGolden);
}

void uniform(std::uint64_t seed, std::uint64_t stream, double* out, std::ptrdiff_t size) {
  for (std::ptrdiff_t i = 0; i < size; ++i)
    out[i] = static_cast<double>(random_bits(seed, stream, static_cast<std::uint64_t>(i)) >> 11) *
             0x1p-53;
}

void permutation(std::uint64_t seed, std::uint64_t epoch, std::int64_t* order, std::ptrdiff_t m) {
  std::iota(order, order + m, std::int64_t{0});
  // Where a place's partner lies is known before its turn: it is called into cache ahead of time.
  constexpr std::ptrdiff_t kAhead = 16;
  std::int64_t partner[kAhead];
  const auto look_up = [&](std::ptrdiff_t i) {
    const auto bits = random_bits(~seed, epoch, static_cast<std::uint64_t>(i));
    const auto below = static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(i + 1);
    partner[i % kAhead] = static_cast<std::int64_t>(below >> 64);
    __builtin_prefetch(order + partner[i % kAhead], 1);
  };
  for (std::ptrdiff_t i = m - 1; i > 0 && i >= m - kAhead; --i) look_up(i);
  for (std::ptrdiff_t i = m - 1; i > 0; --i) {  // Fisher and Yates
    std::swap(order[i], order[partner[i % kAhead]]);
    if (i > kAhead) look_up(i - kAhead);
  }
}

Rule rule_named(const std::string& name) {
  std::string allowed;
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    if (name == kRules[i].name) return static_cast<Rule>(i);
    allowed += (i == 0 ? "" : ", ") + std::string(kRules[i].name);
  }
  throw std::invalid_argument("rule: \"" + name + "\" is unknown; allowed: " + allowed);
}

int Optimizer::states() const { return kRules[static_cast<std::size_t>(rule)].states; }

Optimizer sgd(double learning_rate, double momentum) {
  Optimizer optimizer;
  optimizer.rule = momentum == 0 ? Rule::sgd : Rule::momentum;
  optimizer.learning_rate = learning_rate;
  optimizer.momentum = momentum;
  return optimizer;
}

template <class T>
Trainer<T>::Trainer(Network<T>& net, const Optimizer& optimizer, Workspace<T>* workspace)
    : net_(net), optimizer_(optimizer), space_(workspace != nullptr ? *workspace : own_) {
  for (int k = 0; k < optimizer.states(); ++k) state_[k].reset(net.layout.size);
  if (optimizer.rule == Rule::rprop)
    std::fill_n(state_[1].data(), net.layout.size, static_cast<T>(optimizer.learning_rate));
}

template <class T>
Passes<T>& Workspace<T>::passes_for(const Network<T>& net, std::ptrdiff_t batch_rows) {
  const int wanted = threads_for_gradient(net, batch_rows);
  if (!passes || rows < batch_rows || threads != wanted || passes->isa() != kernels<T>().isa) {
    passes.reset();
    passes = std::make_unique<Passes<T>>(net, batch_rows, wanted);
    rows = batch_rows;
    threads = wanted;
    pace = {};
  }
  return *passes;
}

template <class T>
void Workspace<T>::trim() {
  if (!passes || passes->bytes() <= kMostKept) return;
  passes.reset();
  start_theta.reset(0);
  for (Buffer<T>& state : start_state) state.reset(0);
  gradient.reset(0);
}

template <class T>
Update<T> Trainer<T>::update(double scale, double share) const {
  const Optimizer& o = optimizer_;
  const bool corrects = o.rule == Rule::adam || o.rule == Rule::adamw;
  const auto t = static_cast<double>(steps_ + 1);
  const auto lost = [&](double beta) { return corrects ? 1 - std::pow(beta, t) : 1; };
  const auto of = [](double x) { return static_cast<T>(x); };
  return {o.rule,
          of(rates_ != nullptr ? rates_[steps_] : o.learning_rate),
          of(o.weight_decay),
          of(o.momentum),
          of(1 - o.momentum),
          of(1 - o.smoothing),
          of(o.epsilon),
          of(1 / lost(o.momentum)),
          of(1 / std::sqrt(lost(o.smoothing))),
          of(o.shrink),
          of(o.grow),
          of(o.least),
          of(o.most),
          of(scale),
          of(o.clip_value),
          of(share * o.l1),
          of(share * o.l2)};
}

template <class T>
void Trainer<T>::descend(const Update<T>& update, std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
  std::array<T*, kMostStates> state{};
  for (int k = 0; k < optimizer_.states(); ++k) state[k] = state_[k].data() + at;
  if (!kernels<T>().update(update, net_.theta.data() + at, state.data(), g, n))
    theta_finite_ = false;
}

// Penalties are for weights, not for biases.
template <class T>
void Trainer<T>::descend_apart(const Update<T>& of_weights, const Update<T>& of_biases,
                               std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
  const std::ptrdiff_t end = at + n;
  for (int l = 1; l <= net_.L(); ++l) {
    const std::ptrdiff_t W = net_.layout.W(l), b = net_.layout.b(l), next = b + net_.n(l);
    const Range w{std::max(at, W), std::min(end, b)}, v{std::max(at, b), std::min(end, next)};
    if (w.size() > 0) descend(of_weights, w.begin, g + (w.begin - at), w.size());
    if (v.size() > 0) descend(of_biases, v.begin, g + (v.begin - at), v.size());
  }
}

template <class T>
double Trainer<T>::penalty(const Team& team) {
  const ThetaSums w = sums(team, net_, net_.theta.data(), true, space_.partial);
  return optimizer_.l1 * w.absolute + optimizer_.l2 / 2 * w.squares;
}

template <class T>
std::uint64_t Trainer<T>::drop_key() const {
  constexpr std::uint64_t kStream = 0xd0;  // apart from those of weights and orders
  return random_bits(seed_ ^ mix(kStream), kStream, static_cast<std::uint64_t>(steps_));
}

template <class T>
template <class Interrupted>
Outcome Trainer<T>::one_step(const Team& team, Passes<T>& passes, const Batch<T>& rows,
                             const Interrupted& interrupted) {
  Batch<T> batch = rows;
  const std::uint64_t key = drop_key();
  if (net_.drops()) batch.drop_key = &key;
  const bool penalised = optimizer_.penalises();
  const double share_of_penalties = optimizer_.share_of_penalties(batch.weights());
  const double extra = penalised ? share_of_penalties * penalty(team) : 0;
  Outcome outcome{};
  if (std::isinf(optimizer_.clip_norm)) {  // each piece of the gradient is used as it comes
    const Update<T> plain = update(1, 0);
    const Update<T> with_penalties = penalised ? update(1, share_of_penalties) : plain;
    outcome = passes.backpropagate(
        team, batch,
        [&](std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
          penalised ? descend_apart(with_penalties, plain, at, g, n) : descend(plain, at, g, n);
        },
        interrupted);
  } else {
    Buffer<T>& whole = space_.gradient;
    if (whole.size() == 0) whole.reset(net_.layout.size);
    outcome = passes.backpropagate(
        team, batch,
        [&](std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
          std::copy_n(g, n, whole.data() + at);
        },
        interrupted);
    if (!outcome.stopped) {
      if (penalised)  // what update() would add to the gradient
        add_penalties(team, net_, share_of_penalties * optimizer_.l1,
                      share_of_penalties * optimizer_.l2, whole.data());
      const double length =
          std::sqrt(sums(team, net_, whole.data(), false, space_.partial).squares);
      const Update<T> now =
          update(length > optimizer_.clip_norm ? optimizer_.clip_norm / length : 1.0, 0);
      const int parts = whole.size() < kShareTheta ? 1 : team.size();
      team.for_each(parts, [&](int part, int) {
        const Range mine = share(whole.size(), kThetaGrain, part, parts);
        if (mine.size() > 0) descend(now, mine.begin, whole.data() + mine.begin, mine.size());
      });
    }
  }
  if (!outcome.stopped) ++steps_;
  outcome.cost += extra;
  return outcome;
}

// step(alone): with all of the team, or alone where that is sooner for steps of `usual` rows.
template <class T>
template <class Step>
Outcome Trainer<T>::paced(std::ptrdiff_t m, std::ptrdiff_t usual, const Step& step) {
  if (space_.threads == 1) return step(true);
  if (space_.paced_rows != usual) space_.pace = {};
  space_.paced_rows = usual;
  const auto before = std::chrono::steady_clock::now();
  const Outcome outcome = step(space_.pace.alone());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - before;
  if (m == usual) space_.pace.took(seconds.count());
  return outcome;
}

template <class T>
void Trainer<T>::outputs(const Data<T>& data, T* out) {
  Passes<T>& passes = space_.passes_for(net_, data.m);
  const std::uint64_t key = drop_key();
  Batch<T> batch = data.as_batch();
  if (net_.drops()) batch.drop_key = &key;
  parallel(space_.threads, [&](const Team& team) { passes.outputs(team, batch, out); });
}

template <class T>
double Trainer<T>::step(const Data<T>& batch) {
  Passes<T>& passes = space_.passes_for(net_, batch.m);
  std::atomic<bool> spoilt{false};
  Batch<T> rows = batch.as_batch();
  rows.spoilt = &spoilt;
  const Outcome outcome = paced(batch.m, batch.m, [&](bool alone) {
    Outcome done{};
    parallel(alone ? 1 : space_.threads, [&](const Team& team) {
      done = one_step(team, passes, rows, [&] { return spoilt.load(); });
    });
    return done;
  });
  return outcome.cost;
}

template <class T>
std::ptrdiff_t Trainer<T>::fit_bytes(std::ptrdiff_t m, const Plan& plan) {
  const bool clips = !std::isinf(optimizer_.clip_norm);
  const std::ptrdiff_t snapshots = (1 + optimizer_.states() + (clips ? 1 : 0)) * net_.layout.size;
  return space_.passes_for(net_, std::min(plan.batch_size, m)).bytes() +
         snapshots * static_cast<std::ptrdiff_t>(sizeof(T)) +
         (plan.shuffle ? m : 0) * static_cast<std::ptrdiff_t>(sizeof(std::int64_t));
}

template <class T>
Report Trainer<T>::fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
                       const Observer& observer) {
  const std::ptrdiff_t batch_size = std::min(plan.batch_size, data.m);
  Passes<T>& passes = space_.passes_for(net_, batch_size);
  std::unique_ptr<Passes<T>> validating;
  if (validation.m > 0)
    validating = std::make_unique<Passes<T>>(net_, validation.m, space_.threads, false);
  Buffer<std::int64_t> order(plan.shuffle ? data.m : 0);
  Buffer<T>& start_theta = space_.start_theta;
  auto& start_state = space_.start_state;
  if (start_theta.size() == 0) start_theta.reset(net_.layout.size);
  const int states = optimizer_.states();
  for (int k = 0; k < states; ++k)
    if (start_state[k].size() == 0) start_state[k].reset(net_.layout.size);
  std::int64_t start_steps = steps_;
  seed_ = plan.seed;
  rates_ = plan.rates != nullptr ? plan.rates - steps_ : nullptr;
  Report report;

  auto polled = std::chrono::steady_clock::now();
  bool interrupted = false;
  const int looks_apart = static_cast<int>(
      std::clamp(kFlopsPerLook / gradient_flops(net_, batch_size), 1.0, kMostStepsPerLook));
  int until_look = looks_apart;
  const auto poll = [&] {
    if (--until_look > 0) return false;
    until_look = looks_apart;
    const auto now = std::chrono::steady_clock::now();
    if (now - polled < kPollEvery) return false;
    polled = now;
    interrupted = observer.poll && observer.poll();
    return interrupted;
  };
  // The cost of an epoch is that of all its rows: a sum of sums, or a mean of means.
  const bool whole_sum = data.objective->reduction == Reduction::sum;
  const double weights = data.as_batch().weights();

  // One team for the whole training.
  parallel(space_.threads, [&](const Team& team) {
    const int parts = net_.layout.size < kShareTheta ? 1 : team.size();
    const auto keep_theta = [&] {
      team.for_each(parts, [&](int part, int) {
        const Range mine = share(net_.layout.size, kThetaGrain, part, parts);
        keep(net_.theta, start_theta, mine);
        for (int k = 0; k < states; ++k) keep(state_[k], start_state[k], mine);
      });
      start_steps = steps_;
    };
    const auto run_epoch = [&](int epoch) {
      if (plan.shuffle)
        permutation(plan.seed, plan.first_epoch + static_cast<std::uint64_t>(epoch), order.data(),
                    data.m);
      Outcome total{0, false};
      for (std::ptrdiff_t from = 0; from < data.m && !total.stopped; from += batch_size) {
        const std::ptrdiff_t m = std::min(batch_size, data.m - from);
        Batch<T> batch{data.X, data.Y, nullptr, m, data.m - from, 0, data.weight, data.objective};
        if (plan.shuffle) {
          batch.order = order.data() + from;
          batch.rows = data.m;
          batch.ordered = data.m - from;
        } else {
          batch.X += from * net_.n(0);
          batch.Y += from * data.objective->targets(net_.n(net_.L()));
          if (batch.weight != nullptr) batch.weight += from;
        }
        const Outcome outcome = paced(m, batch_size, [&](bool alone) {
          return one_step(alone ? Team() : team, passes, batch, poll);
        });
        total.cost += (whole_sum ? 1 : batch.weights()) * outcome.cost;
        total.stopped = outcome.stopped;
      }
      if (!whole_sum) total.cost /= weights;
      return total;
    };

    // A diverging epoch is taken back as a whole: its last steps may have spoilt theta. Keeping
    // theta costs as much as a short step, so it is kept every few of those only; what came after
    // is done again, which gives the same bits.
    const double keep_after = kFlopsPerKeep * (1 + states) * static_cast<double>(net_.layout.size);
    bool theta_is_new = true;
    int kept = 0;
    double flops = 0;  // since then
    for (int epoch = 0; epoch < plan.epochs; ++epoch) {
      if (theta_is_new || flops >= keep_after) {
        keep_theta();
        kept = epoch;
        flops = 0;
      }
      theta_finite_ = true;
      const Outcome total = run_epoch(epoch);
      flops += gradient_flops(net_, data.m);
      const bool diverged = !interrupted && (total.stopped || !representable<T>(total.cost));
      if (diverged || !theta_finite_) {
        std::copy_n(start_theta.data(), net_.layout.size, net_.theta.data());
        for (int k = 0; k < states; ++k)
          std::copy_n(start_state[k].data(), net_.layout.size, state_[k].data());
        steps_ = start_steps;
        for (int again = kept; again < epoch && !interrupted; ++again) run_epoch(again);
        report.stopped = interrupted ? Stopped::interrupted : Stopped::diverged;
        return;
      }
      if (interrupted) {
        report.stopped = Stopped::interrupted;
        return;
      }
      double val_cost = std::numeric_limits<double>::quiet_NaN();
      if (validating) {
        val_cost = validating->cost(team, validation.as_batch());
        report.val_cost.push_back(val_cost);
      }
      report.cost.push_back(total.cost);
      theta_is_new = static_cast<bool>(observer.epoch);  // which may write to it
      if (theta_is_new && observer.epoch(epoch, total.cost, val_cost)) {
        report.stopped = Stopped::callback;
        return;
      }
    }
  });
  rates_ = nullptr;
  space_.trim();
  return report;
}

template struct Workspace<float>;
template struct Workspace<double>;
template class Trainer<float>;
template class Trainer<double>;

}  // namespace chainrule
