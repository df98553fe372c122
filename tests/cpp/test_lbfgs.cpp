// L-BFGS on networks: the network's own cost, the same bits for any threads and instruction sets,
// all ways to end.
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "lbfgs.hpp"

namespace {

using chainrule::Data;
using chainrule::Lbfgs;
using chainrule::LbfgsOptions;
using chainrule::Network;
using chainrule::Observer;
using chainrule::Plan;
using chainrule::Stopped;

template <class T>
struct Problem {
  Network<T> net;
  std::vector<T> X, Y;
  Data<T> data;

  explicit Problem(int width = 9, std::ptrdiff_t m = 50)
      : net({3, width, 2}, {"tanh", "identity"}), X(m * 3), Y(m * 2), data{X.data(), Y.data(), m} {
    Random random(2);
    for (std::ptrdiff_t i = 0; i < net.theta.size(); ++i)
      net.theta[i] = static_cast<T>(random.real() * 0.5);
    for (T& x : X) x = static_cast<T>(random.real());
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      Y[2 * i] = std::sin(3 * X[3 * i]);
      Y[2 * i + 1] = X[3 * i + 1] * X[3 * i + 2];
    }
  }
  std::vector<T> theta() const { return {net.theta.data(), net.theta.data() + net.theta.size()}; }
};

Plan epochs(int count) { return {count, 32, true, 0, 0}; }

template <class T>
void fit_is_steps() {
  Problem<T> one, two, three;
  Lbfgs<T> whole(one.net, {}), stepwise(two.net, {}), parts(three.net, {});
  const auto report = whole.fit(one.data, {}, epochs(12), {});
  CHECK(report.stopped == Stopped::epochs && report.cost.size() == 12 && whole.steps() == 12);
  for (int epoch = 0; epoch < 12; ++epoch) {
    const double before = stepwise.step(two.data);
    CHECK(before == (epoch == 0 ? chainrule::cost(three.net, three.data) : report.cost[epoch - 1]));
  }
  CHECK(one.theta() == two.theta());
  CHECK(report.cost.back() == chainrule::cost(one.net, one.data));
  const auto first = parts.fit(three.data, {}, epochs(5), {});
  const auto second = parts.fit(three.data, {}, epochs(7), {});
  CHECK(one.theta() == three.theta() && second.cost.back() == report.cost.back());
  CHECK(first.cost[4] == report.cost[4] && parts.steps() == 12);
  for (int epoch = 1; epoch < 12; ++epoch) CHECK(report.cost[epoch] < report.cost[epoch - 1]);
  CHECK(whole.states() == 20);
  CHECK(whole.evaluations() >= 13 && whole.evaluations() < 30) << whole.evaluations();
}

template <class T>
void endings() {
  Problem<T> free, told;
  Lbfgs<T> all(free.net, {});
  const auto whole = all.fit(free.data, free.data, epochs(6), {});
  CHECK(whole.val_cost == whole.cost);  // the same rows

  Lbfgs<T> trainer(told.net, {});
  Observer observer;
  observer.epoch = [](int epoch, double, double) { return epoch == 5; };
  const auto report = trainer.fit(told.data, {}, epochs(40), observer);
  CHECK(report.stopped == Stopped::callback && report.cost == whole.cost);
  CHECK(told.theta() == free.theta());

  // Interrupted: at the last finished iteration.
  Problem<T> large(40, 5000);
  LbfgsOptions endless;
  endless.tolerance_grad = endless.tolerance_change = 0;
  Lbfgs<T> cut(large.net, endless);
  std::vector<T> last = large.theta();
  int done = 0;
  Observer impatient;
  impatient.poll = [] { return true; };
  impatient.epoch = [&](int, double, double) {
    last = large.theta();
    ++done;
    return false;
  };
  const auto broken = cut.fit(large.data, {}, epochs(1 << 30), impatient);
  CHECK(broken.stopped == Stopped::interrupted) << static_cast<int>(broken.stopped);
  CHECK(large.theta() == last && cut.steps() == done && done > 0) << done;

  // No finite cost at the start: nothing has changed.
  Problem<T> lost;
  std::fill(lost.Y.begin(), lost.Y.end(), std::numeric_limits<T>::max());
  const auto before = lost.theta();
  Lbfgs<T> hopeless(lost.net, {});
  CHECK(hopeless.fit(lost.data, {}, epochs(5), {}).stopped == Stopped::diverged);
  CHECK(!std::isfinite(hopeless.step(lost.data)));
  CHECK(lost.theta() == before && hopeless.steps() == 0 && hopeless.states() == 0);

  // All data explained: the gradient is zero, one iteration that does nothing.
  Problem<T> still;
  chainrule::predict(still.net, still.X.data(), still.data.m, still.Y.data());
  Lbfgs<T> idle(still.net, {});
  const auto nothing = idle.fit(still.data, {}, epochs(5), {});
  CHECK(nothing.stopped == Stopped::gradient && nothing.cost.size() == 1);
}

// Narrow (Fused) and wide (Layered), with theta shared between threads and not.
template <class T>
void same_bits() {
  for (const int width : {9, 120, 9000}) {
    std::vector<T> right;
    for_each_isa([&](const std::string& isa) {
      if (!fuses(isa)) return;
      for (const int threads : {1, 2, 3}) {
        chainrule::set_max_threads(threads);
        Problem<T> problem(width, width > 1000 ? 100 : 700);
        Lbfgs<T> trainer(problem.net, {});
        const auto report = trainer.fit(problem.data, {}, epochs(6), {});
        CHECK(report.cost.size() == 6 && report.cost[5] < report.cost[0]);
        if (right.empty()) right = problem.theta();
        CHECK(problem.theta() == right) << isa << " " << threads << " " << width;
      }
    });
  }
  chainrule::set_max_threads(0);
}

}  // namespace

int main() {
  fit_is_steps<float>();
  fit_is_steps<double>();
  endings<float>();
  endings<double>();
  same_bits<float>();
  same_bits<double>();
  return report("lbfgs");
}
