#include "lbfgs.hpp"

#include <algorithm>
#include <chrono>

namespace chainrule {
namespace {

Stopped stopped_by(Ended ended) {
  switch (ended) {
    case Ended::iterations:
      return Stopped::epochs;
    case Ended::gradient:
      return Stopped::gradient;
    case Ended::change:
      return Stopped::change;
    case Ended::line_search:
      return Stopped::line_search;
    case Ended::observer:
      return Stopped::callback;
    case Ended::interrupted:
      return Stopped::interrupted;
    case Ended::diverged:
      break;
  }
  return Stopped::diverged;
}

}  // namespace

template <class T>
Lbfgs<T>::Lbfgs(Network<T>& net, const LbfgsOptions& options, const Decay& decay,
                Workspace<T>* workspace)
    : net_(net),
      minimiser_(net.layout.size, options),
      decay_(decay),
      space_(workspace != nullptr ? *workspace : own_) {}

template <class T>
template <class Interrupted>
double Lbfgs<T>::evaluate(const Team& team, Passes<T>& passes, const Data<T>& data, T* g,
                          const Interrupted& interrupted) {
  const Batch<T> batch = data.as_batch();
  const auto keep = [&](std::ptrdiff_t at, const T* piece, std::ptrdiff_t n) {
    std::copy_n(piece, n, g + at);
  };
  const Outcome outcome = passes.backpropagate(team, batch, keep, interrupted);
  if (outcome.stopped || decay_.l2 == 0) return outcome.cost;
  const double l2 = decay_.per_row ? decay_.l2 / batch.weights() : decay_.l2;
  add_penalties(team, net_, 0, l2, g);
  const ThetaSums w = sums(team, net_, net_.theta.data(), true, space_.partial);
  return outcome.cost + l2 / 2 * w.squares;
}

template <class T>
bool Lbfgs<T>::set_state(const std::vector<const T*>& arrays) {
  const auto most = 2 * static_cast<std::size_t>(minimiser_.options.history_size);
  if (arrays.size() % 2 != 0 || arrays.size() > most) return false;
  minimiser_.forget();
  minimiser_.prepare(static_cast<int>(arrays.size() / 2));
  bool good = false;
  parallel(1, [&](const Team& team) { good = minimiser_.recall(team, arrays); });
  return good;
}

template <class T>
double Lbfgs<T>::step(const Data<T>& data) {
  Passes<T>& passes = space_.passes_for(net_, data.m);
  minimiser_.prepare(1);
  double before = 0;
  bool first = true;
  parallel(space_.threads, [&](const Team& team) {
    typename Minimiser<T>::Task task;
    task.theta = net_.theta.data();
    task.evaluate = [&](T* g) {
      const double cost = evaluate(team, passes, data, g, [] { return false; });
      if (first) before = cost;
      first = false;
      return cost;
    };
    task.interrupted = [] { return false; };
    if (minimiser_.run(team, task, 1) == Ended::diverged)
      before = std::numeric_limits<double>::infinity();
  });
  return before;
}

template <class T>
Report Lbfgs<T>::fit(const Data<T>& data, const Data<T>& validation, const Plan& plan,
                     const Observer& observer) {
  Passes<T>& passes = space_.passes_for(net_, data.m);
  std::unique_ptr<Passes<T>> validating;
  if (validation.m > 0)
    validating = std::make_unique<Passes<T>>(net_, validation.m, space_.threads, false);
  minimiser_.prepare(plan.epochs);
  Report report;
  auto polled = std::chrono::steady_clock::now();
  bool interrupted = false;
  const auto poll = [&] {
    const auto now = std::chrono::steady_clock::now();
    if (interrupted || now - polled < kPollEvery) return interrupted;
    polled = now;
    interrupted = observer.poll && observer.poll();
    return interrupted;
  };

  // One team for the whole training.
  parallel(space_.threads, [&](const Team& team) {
    typename Minimiser<T>::Task task;
    task.theta = net_.theta.data();
    task.evaluate = [&](T* g) { return evaluate(team, passes, data, g, poll); };
    task.interrupted = [&] { return interrupted; };
    task.observe = [&](int epoch, double cost) {
      double val_cost = std::numeric_limits<double>::quiet_NaN();
      if (validating) {
        val_cost = validating->cost(team, validation.as_batch());
        report.val_cost.push_back(val_cost);
      }
      report.cost.push_back(cost);
      return observer.epoch && observer.epoch(epoch, cost, val_cost);
    };
    report.stopped = stopped_by(minimiser_.run(team, task, plan.epochs));
  });
  space_.trim();
  return report;
}

template class Lbfgs<float>;
template class Lbfgs<double>;

}  // namespace chainrule
