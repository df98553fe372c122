#include "training.hpp"

#include <chrono>
#include <cmath>
#include <numeric>

namespace chainrule {
namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(50);

// Forward, and backward twice as much (the first layer's delta is not needed).
template <class T>
int threads_for(const Network<T>& net, std::ptrdiff_t rows) {
  return worthwhile_threads(3 * net.flops(rows), static_cast<double>(net.layout.size));
}

std::uint64_t mix(std::uint64_t x) {  // the finaliser of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

template <class T>
void keep(const Buffer<T>& from, Buffer<T>& to, Range range) {
  if (range.begin < range.end)
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
  for (std::ptrdiff_t i = m - 1; i > 0; --i) {  // Fisher and Yates
    const auto bits = random_bits(~seed, epoch, static_cast<std::uint64_t>(i));
    const auto below = static_cast<unsigned __int128>(bits) * static_cast<std::uint64_t>(i + 1);
    std::swap(order[i], order[static_cast<std::int64_t>(below >> 64)]);
  }
}

template <class T>
Trainer<T>::Trainer(Network<T>& net, double learning_rate, double momentum)
    : net_(net),
      learning_rate_(static_cast<T>(learning_rate)),
      momentum_(static_cast<T>(momentum)),
      velocity_(net.layout.size) {}

template <class T>
Passes<T>& Trainer<T>::passes(std::ptrdiff_t batch_rows) {
  const int threads = threads_for(net_, batch_rows);
  if (!passes_ || rows_ < batch_rows || threads_ != threads || &passes_->kernels != &kernels<T>()) {
    passes_.reset();
    passes_ = std::make_unique<Passes<T>>(net_, batch_rows, threads);
    rows_ = batch_rows;
    threads_ = threads;
  }
  return *passes_;
}

// update(at, g, count) for the contiguous pieces of a stripe; `at` counts from the start of theta.
template <class T, class Update>
void for_each_piece(const Network<T>& net, const Stripe& stripe, const T* g, std::ptrdiff_t ld,
                    const Update& update) {
  const std::ptrdiff_t n_out = net.n(stripe.l);
  const std::ptrdiff_t at = net.layout.W(stripe.l) + stripe.row * n_out;
  if (ld == n_out)
    update(at, g, stripe.rows * n_out);
  else
    for (int row = 0; row < stripe.rows; ++row) update(at + row * n_out, g + row * ld, n_out);
}

template <class T>
void Trainer<T>::descend(Passes<T>& passes, const Stripe& stripe, const T* g, std::ptrdiff_t ld) {
  T* velocity = momentum_ == T(0) ? nullptr : velocity_.data();
  for_each_piece(net_, stripe, g, ld, [&](std::ptrdiff_t at, const T* slope, std::ptrdiff_t n) {
    if (!passes.kernels.descend(net_.theta.data() + at,
                                velocity != nullptr ? velocity + at : nullptr, slope, n,
                                learning_rate_, momentum_))
      theta_finite_ = false;
  });
  passes.weights.pack_rows(stripe.l, stripe.row, stripe.rows);
}

template <class T>
double Trainer<T>::step(const Data<T>& batch) {
  Passes<T>& passes = this->passes(batch.m);
  double cost = 0;
  const auto finish = [&](const Stripe& stripe, const T* g, std::ptrdiff_t ld) {
    descend(passes, stripe, g, ld);
  };
  const auto body = [&](const Team& team) {
    passes.weights.pack(team);  // theta is the user's too: it may have changed since
    team.barrier();
    const double mine = passes.backpropagate(team, {batch.X, batch.Y, nullptr, batch.m}, finish,
                                             [] { return false; });
    if (team.rank == 0) cost = mine;
  };
  parallel(threads_, body);
  const bool refused = passes.stopped;
  passes.stopped = false;
  return refused ? std::numeric_limits<double>::infinity() : cost;
}

template <class T>
Report Trainer<T>::fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
                       const Observer& observer) {
  const std::ptrdiff_t batch_size = std::min(plan.batch_size, data.m);
  Passes<T>& passes = this->passes(batch_size);
  Buffer<std::int64_t> order(plan.shuffle ? data.m : 0);
  Buffer<T> start_theta(net_.layout.size);
  Buffer<T> start_velocity(momentum_ == T(0) ? 0 : net_.layout.size);
  Report report;
  auto polled = std::chrono::steady_clock::now();
  bool interrupted = false, theta_is_new = true;
  const auto poll = [&] {
    const auto now = std::chrono::steady_clock::now();
    if (now - polled < kPollEvery) return false;
    polled = now;
    interrupted = observer.poll && observer.poll();
    return interrupted;
  };

  const auto finish = [&](const Stripe& stripe, const T* g, std::ptrdiff_t ld) {
    descend(passes, stripe, g, ld);
  };
  // Whether the training ends here.
  const auto end_epoch = [&](int epoch, double mean, double val_cost) {
    if (interrupted) {
      report.stopped = Stopped::interrupted;
      return true;
    }
    if (passes.stopped || !representable<T>(mean) || !theta_finite_) {
      std::copy_n(start_theta.data(), net_.layout.size, net_.theta.data());
      std::copy_n(start_velocity.data(), start_velocity.size(), velocity_.data());
      report.stopped = Stopped::diverged;
      return true;
    }
    report.cost.push_back(mean);
    if (validation.m > 0) report.val_cost.push_back(val_cost);
    if (!observer.epoch || !observer.epoch(epoch, mean, val_cost)) return false;
    report.stopped = Stopped::callback;
    return true;
  };

  // One team for the whole training; between two barriers its first member alone does what needs
  // no company: the order of rows, the verdict, the observer.
  std::unique_ptr<Passes<T>> validating;
  if (validation.m > 0)
    validating =
        std::make_unique<Passes<T>>(net_, validation.m, threads_, Passes<T>::Keep::forward);
  bool done = false;
  const auto body = [&](const Team& team) {
    const Range my_theta = share(net_.layout.size, 16, team);
    for (int epoch = 0; epoch < plan.epochs && !done; ++epoch) {
      // A diverging epoch is taken back as a whole: its last steps may have spoilt theta.
      keep(net_.theta, start_theta, my_theta);
      if (start_velocity.size() > 0) keep(velocity_, start_velocity, my_theta);
      if (theta_is_new) passes.weights.pack(team);
      if (team.rank == 0) {
        theta_finite_ = true;
        if (plan.shuffle)
          permutation(plan.seed, plan.first_epoch + static_cast<std::uint64_t>(epoch), order.data(),
                      data.m);
      }
      team.barrier();
      double sum = 0;
      for (std::ptrdiff_t from = 0; from < data.m && !passes.stopped; from += batch_size) {
        const std::ptrdiff_t m = std::min(batch_size, data.m - from);
        const Batch<T> batch =
            plan.shuffle
                ? Batch<T>{data.X, data.Y, order.data() + from, m}
                : Batch<T>{data.X + from * net_.n(0), data.Y + from * net_.n(net_.L()), nullptr, m};
        sum += static_cast<double>(m) * passes.backpropagate(team, batch, finish, poll);
      }
      double val_cost = std::numeric_limits<double>::quiet_NaN();
      if (validating && !passes.stopped) {
        validating->weights.pack(team);
        team.barrier();
        val_cost = validating->cost(team, {validation.X, validation.Y, nullptr, validation.m});
      }
      if (team.rank == 0) {
        done = end_epoch(epoch, sum / static_cast<double>(data.m), val_cost);
        theta_is_new = static_cast<bool>(observer.epoch);  // which may write to it
      }
      team.barrier();
    }
  };
  parallel(threads_, body);
  passes.stopped = false;
  return report;
}

template <class T>
void copy_stripe(const Network<T>& net, const Stripe& stripe, const T* g, std::ptrdiff_t ld,
                 T* out) {
  for_each_piece(net, stripe, g, ld, [&](std::ptrdiff_t at, const T* from, std::ptrdiff_t n) {
    std::copy_n(from, n, out + at);
  });
}

template <class T>
double gradient(const Network<T>& net, const Data<T>& data, T* out) {
  const int threads = threads_for(net, data.m);
  Passes<T> passes(net, data.m, threads);
  double cost = 0;
  const auto body = [&](const Team& team) {
    passes.weights.pack(team);
    team.barrier();
    const double mine = passes.backpropagate(
        team, {data.X, data.Y, nullptr, data.m},
        [&](const Stripe& stripe, const T* g, std::ptrdiff_t ld) {
          copy_stripe(net, stripe, g, ld, out);
        },
        [] { return false; });
    if (team.rank == 0) cost = mine;
  };
  parallel(threads, body);
  return cost;
}

template <class T>
double cost(const Network<T>& net, const Data<T>& data) {
  const int threads = worthwhile_threads(net.flops(data.m), 0);
  Passes<T> passes(net, data.m, threads, Passes<T>::Keep::forward);
  double cost = 0;
  const auto body = [&](const Team& team) {
    passes.weights.pack(team);
    team.barrier();
    const double mine = passes.cost(team, {data.X, data.Y, nullptr, data.m});
    if (team.rank == 0) cost = mine;
  };
  parallel(threads, body);
  return cost;
}

template class Trainer<float>;
template class Trainer<double>;
template void copy_stripe(const Network<float>&, const Stripe&, const float*, std::ptrdiff_t,
                          float*);
template void copy_stripe(const Network<double>&, const Stripe&, const double*, std::ptrdiff_t,
                          double*);
template double gradient(const Network<float>&, const Data<float>&, float*);
template double gradient(const Network<double>&, const Data<double>&, double*);
template double cost(const Network<float>&, const Data<float>&);
template double cost(const Network<double>&, const Data<double>&);

}  // namespace chainrule
