// Order of rows, steps, epochs, every way in which a training can end, and what it allocates.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <new>
#include <set>

#include "check.hpp"
#include "training.hpp"

// Every allocation of this program: buffers come from aligned_alloc, all else from operator new.
static std::atomic<long> allocations{0};

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return memalign(alignment, size);
}
__attribute__((noinline)) void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* p) noexcept { std::free(p); }
__attribute__((noinline)) void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using chainrule::Data;
using chainrule::Network;
using chainrule::Plan;
using chainrule::sgd;
using chainrule::Stopped;
using chainrule::Trainer;

template <class T>
void fill(Network<T>& net, std::vector<T>& X, std::vector<T>& Y) {
  Random random(2);
  for (std::ptrdiff_t i = 0; i < net.theta.size(); ++i)
    net.theta[i] = static_cast<T>(random.real() * 0.5);
  for (T& x : X) x = static_cast<T>(random.real());
  for (T& y : Y) y = static_cast<T>(random.real());
}

template <class T>
std::vector<T> theta_of(const Network<T>& net) {
  return {net.theta.data(), net.theta.data() + net.theta.size()};
}

void random_numbers() {
  std::vector<std::int64_t> a(1000), b(1000);
  chainrule::permutation(7, 3, a.data(), 1000);
  chainrule::permutation(7, 3, b.data(), 1000);
  CHECK(a == b);
  CHECK(std::set<std::int64_t>(a.begin(), a.end()).size() == 1000);
  CHECK(*std::min_element(a.begin(), a.end()) == 0 && *std::max_element(a.begin(), a.end()) == 999);
  chainrule::permutation(7, 4, b.data(), 1000);
  CHECK(a != b);
  chainrule::permutation(8, 3, b.data(), 1000);
  CHECK(a != b);
  // Each place takes each row equally often: chi-square of 10 rows in place 0 over 5000 epochs.
  std::vector<int> count(10, 0);
  for (int epoch = 0; epoch < 5000; ++epoch) {
    chainrule::permutation(1, epoch, a.data(), 10);
    ++count[a[0]];
  }
  double chi_square = 0;
  for (const int c : count) chi_square += (c - 500.0) * (c - 500.0) / 500;
  CHECK(chi_square < 27.9) << chi_square;  // 99.9 % of 9 degrees of freedom

  std::vector<double> u(20000);
  chainrule::uniform(5, 1, u.data(), 20000);
  double mean = 0;
  for (const double x : u) mean += x / 20000;
  CHECK(*std::min_element(u.begin(), u.end()) >= 0 && *std::max_element(u.begin(), u.end()) < 1);
  CHECK(std::abs(mean - 0.5) < 0.01) << mean;
}

// fit is a loop of steps, and a step is theta - rate * gradient.
template <class T>
void fit_is_steps(double momentum) {
  const std::ptrdiff_t m = 50, batch = 16;
  std::vector<T> X(m * 3), Y(m * 2);
  Network<T> one({3, 9, 2}, {"tanh", "identity"}), two({3, 9, 2}, {"tanh", "identity"}),
      three({3, 9, 2}, {"tanh", "identity"});
  fill(one, X, Y);
  std::copy_n(one.theta.data(), one.theta.size(), two.theta.data());
  std::copy_n(one.theta.data(), one.theta.size(), three.theta.data());

  Trainer<T> whole(one, sgd(0.1, momentum)), stepwise(two, sgd(0.1, momentum));
  const chainrule::Report report =
      whole.fit({X.data(), Y.data(), m}, {}, {3, batch, false, 0, 0}, {});
  CHECK(report.stopped == Stopped::epochs && report.cost.size() == 3);
  CHECK(report.cost[2] < report.cost[0]);

  std::vector<T> velocity(three.theta.size(), 0), g(three.theta.size());
  for (int epoch = 0; epoch < 3; ++epoch) {
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < m; i += batch) {
      const Data<T> part{X.data() + i * 3, Y.data() + i * 2, std::min(batch, m - i)};
      sum += stepwise.step(part) * static_cast<double>(part.m);
      chainrule::gradient(three, part, g.data());
      for (std::size_t p = 0; p < g.size(); ++p) {
        velocity[p] = std::fma(static_cast<T>(momentum), velocity[p], g[p]);
        three.theta[p] = std::fma(static_cast<T>(-0.1), velocity[p], three.theta[p]);
      }
    }
    CHECK(report.cost[epoch] == sum / m) << epoch;
  }
  CHECK(theta_of(one) == theta_of(two));
  if (fuses(chainrule::used_isa())) CHECK(theta_of(one) == theta_of(three));
}

// A batch of many groups, rows in a shuffled order: the same as the shuffled rows in order.
template <class T>
void order_of_rows() {
  const std::ptrdiff_t m = 5000;
  std::vector<T> X(m * 3), Y(m * 2), X_shuffled(m * 3), Y_shuffled(m * 2);
  Network<T> one({3, 9, 2}, {"tanh", "identity"}), two({3, 9, 2}, {"tanh", "identity"});
  fill(one, X, Y);
  std::copy_n(one.theta.data(), one.theta.size(), two.theta.data());
  std::vector<std::int64_t> order(m);
  chainrule::permutation(6, 4, order.data(), m);
  for (std::ptrdiff_t i = 0; i < m; ++i) {
    std::copy_n(X.data() + order[i] * 3, 3, X_shuffled.data() + i * 3);
    std::copy_n(Y.data() + order[i] * 2, 2, Y_shuffled.data() + i * 2);
  }
  Trainer<T> shuffling(one, sgd(0.1, 0.5)), plain(two, sgd(0.1, 0.5));
  const auto report = shuffling.fit({X.data(), Y.data(), m}, {}, {1, m, true, 6, 4}, {});
  CHECK(report.cost.at(0) == plain.step({X_shuffled.data(), Y_shuffled.data(), m}));
  CHECK(theta_of(one) == theta_of(two));
}

template <class T>
void endings() {
  const std::ptrdiff_t m = 40;
  std::vector<T> X(m * 3), Y(m);
  Network<T> net({3, 8, 1}, {"relu", "identity"});
  fill(net, X, Y);
  const Data<T> data{X.data(), Y.data(), m};

  {
    Trainer<T> trainer(net, sgd(0.01, 0.5));
    int calls = 0;
    chainrule::Observer observer;
    observer.epoch = [&](int epoch, double, double) {
      ++calls;
      return epoch == 2;
    };
    const auto report = trainer.fit(data, data, {10, 7, true, 0, 0}, observer);
    CHECK(report.stopped == Stopped::callback && calls == 3);
    CHECK(report.cost.size() == 3 && report.val_cost.size() == 3);
  }
  {  // the epochs before the divergence stay, the diverging one is taken back
    Trainer<T> trainer(net, sgd(1e30, 0.9));
    const std::vector<T> before = theta_of(net);
    const auto report = trainer.fit(data, {}, {50, 10, true, 0, 0}, {});
    CHECK(report.stopped == Stopped::diverged && report.cost.size() < 50);
    const std::vector<T> after = theta_of(net);
    CHECK(std::all_of(after.begin(), after.end(), [](T w) { return std::isfinite(w); }));
    if (report.cost.empty()) CHECK(before == after);
    for (std::ptrdiff_t i = 0; i < trainer.state(0).size(); ++i)
      CHECK(std::isfinite(trainer.state(0)[i]));
  }
  {  // a sum beyond the number type whose mean is not: the training goes on and its costs are true
    Network<T> flat({3, 8, 1}, {"identity", "identity"});
    // In double the sum itself has to fit.
    const double room = sizeof(T) == 4 ? 4 : 4.0 * static_cast<double>(m);
    const double huge = std::sqrt(static_cast<double>(std::numeric_limits<T>::max()) / room);
    std::vector<T> far(m, static_cast<T>(huge));
    Trainer<T> trainer(flat, sgd(1e-30, 0));
    const auto report = trainer.fit({X.data(), far.data(), m}, {}, {3, m, false, 0, 0}, {});
    CHECK(report.stopped == Stopped::epochs && report.cost.size() == 3);
    CHECK(std::all_of(report.cost.begin(), report.cost.end(),
                      [&](double c) { return std::abs(c / (huge * huge) - 1) < 1e-3; }));
  }
  {  // the overflow may come in the last update of the last epoch
    Network<T> last({3, 8, 1}, {"relu", "identity"});
    std::copy_n(net.theta.data(), net.theta.size(), last.theta.data());
    const std::vector<T> before = theta_of(last);
    const double huge = static_cast<double>(std::numeric_limits<T>::max());
    std::vector<T> far(m, static_cast<T>(1e18));
    Trainer<T> trainer(last, sgd(huge, 0));
    const auto report = trainer.fit({X.data(), far.data(), m}, {}, {1, m, false, 0, 0}, {});
    CHECK(report.stopped == Stopped::diverged && theta_of(last) == before);
  }
  {  // a step whose cost is not finite changes nothing
    Network<T> other({3, 8, 1}, {"identity", "identity"});
    std::fill_n(other.theta.data(), other.theta.size(), std::numeric_limits<T>::max() / 4);
    const std::vector<T> before = theta_of(other);
    Trainer<T> trainer(other, sgd(0.1, 0.9));
    CHECK(!std::isfinite(trainer.step(data)));
    CHECK(theta_of(other) == before);
  }
  for (const int wide : {8, 600}) {  // nor does one whose X holds what relu hides from the cost
    Network<T> other({wide, wide, 1}, {"relu", "identity"});
    std::fill_n(other.theta.data(), other.theta.size(), T(1e-3));
    const std::vector<T> before = theta_of(other);
    std::vector<T> many(m * wide, T(1)), targets(m, T(1));
    many[(m - 2) * wide + 1] = -std::numeric_limits<T>::infinity();
    Trainer<T> trainer(other, sgd(0.1, 0.9));
    CHECK(std::isfinite(chainrule::cost<T>(other, {many.data(), targets.data(), m})));
    CHECK(!std::isfinite(trainer.step({many.data(), targets.data(), m})));
    CHECK(theta_of(other) == before && trainer.steps() == 0) << "width " << wide;
  }
  {  // an interruption leaves theta at the last finished step
    Network<T> big({200, 300, 1}, {"tanh", "identity"});
    std::vector<T> many(20000 * 200), targets(20000);
    fill(big, many, targets);
    Trainer<T> trainer(big, sgd(1e-3, 0));
    chainrule::Observer observer;
    int polls = 0;
    observer.poll = [&] { return ++polls == 2; };
    const auto report = trainer.fit({many.data(), targets.data(), 20000}, {},
                                    {100000, 20000, true, 0, 0}, observer);
    CHECK(report.stopped == Stopped::interrupted && polls == 2);
    const std::vector<T> after = theta_of(big);
    CHECK(std::all_of(after.begin(), after.end(), [](T w) { return std::isfinite(w); }));
  }
}

// Divergence after some epochs leaves theta and the velocity as those epochs left them.
template <class T>
void taken_back(std::ptrdiff_t batch, double rate, const std::vector<int>& widths = {3, 8, 1}) {
  const std::ptrdiff_t m = 40;
  std::vector<T> X(m * 3), Y(m);
  const std::vector<std::string> linear(widths.size() - 1, "identity");
  Network<T> one(widths, linear), two(widths, linear);
  fill(one, X, Y);
  std::copy_n(one.theta.data(), one.theta.size(), two.theta.data());
  const Data<T> data{X.data(), Y.data(), m};
  Trainer<T> diverging(one, sgd(rate, 0.5)), twin(two, sgd(rate, 0.5));
  const auto report = diverging.fit(data, {}, {2000, batch, true, 3, 0}, {});
  const int finished = static_cast<int>(report.cost.size());
  CHECK(report.stopped == Stopped::diverged && finished > 1) << finished << " epochs";
  const auto again = twin.fit(data, {}, {finished, batch, true, 3, 0}, {});
  CHECK(again.stopped == Stopped::epochs && again.cost == report.cost) << finished << " epochs";
  CHECK(theta_of(one) == theta_of(two)) << finished << " epochs of " << batch;
  CHECK(std::equal(diverging.state(0).data(), diverging.state(0).data() + diverging.state(0).size(),
                   twin.state(0).data()));
}

// Nothing is allocated per step, nor per epoch but for the costs that it reports.
template <class T>
void allocates_once(const std::vector<int>& widths) {
  const std::ptrdiff_t m = 2000;
  std::vector<T> X(m * widths.front()), Y(m * widths.back());
  Network<T> net(widths, std::vector<std::string>(widths.size() - 1, "tanh"));
  fill(net, X, Y);
  for (const int threads : {1, 2}) {
    chainrule::set_max_threads(threads);
    Trainer<T> trainer(net, sgd(1e-6, 0.9));
    const auto of = [&](std::ptrdiff_t batch, int epochs) {
      trainer.fit({X.data(), Y.data(), m}, {}, {1, batch, true, 0, 0}, {});  // once for the buffers
      const long before = allocations;
      const auto report = trainer.fit({X.data(), Y.data(), m}, {}, {epochs, batch, true, 0, 0}, {});
      CHECK(report.stopped == Stopped::epochs);
      return allocations - before;
    };
    const long few = of(m, 1);
    CHECK(of(8, 1) == few) << "250 steps instead of 1, " << threads << " threads";
    CHECK(of(500, 64) - few < 10) << "64 epochs instead of 1, " << threads << " threads";
    for (const std::ptrdiff_t batch : {8, 2000}) {
      trainer.step({X.data(), Y.data(), batch});
      const long again = allocations;
      trainer.step({X.data(), Y.data(), batch});
      CHECK(allocations == again) << "step of " << batch << ", " << threads << " threads";
    }
  }
  chainrule::set_max_threads(0);
}

// Batches of any size one after the other, and another instruction set in between: as from trainers
// that have seen nothing else.
template <class T>
void any_batch_after_any() {
  std::vector<T> X(700 * 3), Y(700 * 2);
  Network<T> one({3, 9, 2}, {"tanh", "identity"}), two({3, 9, 2}, {"tanh", "identity"});
  fill(one, X, Y);
  std::copy_n(one.theta.data(), one.theta.size(), two.theta.data());
  Trainer<T> trainer(one, sgd(0.1, 0));
  const std::string isa = chainrule::used_isa();
  for (const std::ptrdiff_t m : {8, 200, 1, 700, 33, 300}) {
    const Data<T> data{X.data(), Y.data(), m};
    const double cost = trainer.step(data);
    CHECK(cost == Trainer<T>(two, sgd(0.1, 0)).step(data)) << m;
    CHECK(theta_of(one) == theta_of(two)) << "after a batch of " << m;
  }
  for (const std::string& other : chainrule::detected_isas()) {
    chainrule::set_isa(other);
    const Data<T> data{X.data(), Y.data(), 50};
    CHECK(trainer.step(data) == Trainer<T>(two, sgd(0.1, 0)).step(data)) << other;
    CHECK(theta_of(one) == theta_of(two)) << other;
  }
  chainrule::set_isa(isa);
}

// So many steps that some of them are tried without the team: the same bits.
template <class T>
void steps_that_change_hands(const std::vector<int>& widths, std::ptrdiff_t batch) {
  const std::ptrdiff_t m = 2 * batch + batch / 2;
  std::vector<T> X(m * widths.front()), Y(m * widths.back());
  std::vector<T> first;
  for (const int threads : {1, 2, 3}) {
    chainrule::set_max_threads(threads);
    Network<T> net(widths, std::vector<std::string>(widths.size() - 1, "tanh"));
    fill(net, X, Y);
    for (std::ptrdiff_t i = 0; i < net.theta.size(); ++i) net.theta[i] *= T(0.05);
    Trainer<T> trainer(net, sgd(0.01, 0.5));
    trainer.fit({X.data(), Y.data(), m}, {}, {60, batch, true, 1, 0}, {});
    for (int i = 0; i < 120; ++i) trainer.step({X.data(), Y.data(), batch});
    if (threads == 1) first = theta_of(net);
    CHECK(theta_of(net) == first) << threads << " threads, batches of " << batch;
  }
  chainrule::set_max_threads(0);
}

// A trial that was open for batches of one size says nothing about another.
void other_batches_other_pace() {
  chainrule::set_max_threads(2);
  std::vector<float> X(25600 * 64), Y(25600 * 64);
  Network<float> net({64, 128, 64}, {"tanh", "identity"});
  fill(net, X, Y);
  chainrule::Workspace<float> space;
  Trainer<float> trainer(net, sgd(1e-3, 0), &space);
  trainer.fit({X.data(), Y.data(), 25600}, {}, {1, 256, false, 0, 0}, {});
  CHECK(space.threads == 2 && space.pace.alone()) << "a trial after 100 batches";
  trainer.step({X.data(), Y.data(), 128});
  CHECK(space.threads == 2 && !space.pace.alone());
  chainrule::set_max_threads(0);
}

// The cost of validation data is that of the weights after the epoch, on a wide network too.
template <class T>
void validated(const std::vector<int>& widths) {
  const std::ptrdiff_t m = 60;
  std::vector<T> X(m * widths.front()), Y(m * widths.back());
  Network<T> net(widths, std::vector<std::string>(widths.size() - 1, "tanh"));
  fill(net, X, Y);
  for (std::ptrdiff_t i = 0; i < net.theta.size(); ++i) net.theta[i] *= T(0.05);
  const Data<T> data{X.data(), Y.data(), m};
  Trainer<T> trainer(net, sgd(0.01, 0));
  const auto report = trainer.fit(data, data, {3, 20, true, 0, 0}, {});
  CHECK(report.val_cost.size() == 3 && report.val_cost[2] == chainrule::cost(net, data))
      << widths.size() << " widths";
  CHECK(report.val_cost[2] < report.val_cost[0]);
}

}  // namespace

int main() {
  random_numbers();
  const std::vector<int> wide = {3, 1200, 1200, 1};  // goes layer by layer
  taken_back<float>(40, 1e-3, wide);
  validated<float>(wide);
  validated<double>(wide);
  validated<double>({3, 20, 2});
  for (const std::ptrdiff_t batch : {64, 200, 256, 1100}) {
    steps_that_change_hands<float>({64, 128, 64, 1}, batch);
    steps_that_change_hands<double>({64, 100, 10}, batch);
  }
  steps_that_change_hands<float>(wide, 16);
  other_batches_other_pace();
  any_batch_after_any<float>();
  any_batch_after_any<double>();
  allocates_once<float>({8, 32, 32, 1});
  allocates_once<double>({30, 400, 400, 2});
  for_each_isa([](const std::string&) {
    for (const double momentum : {0.0, 0.9}) {
      fit_is_steps<float>(momentum);
      fit_is_steps<double>(momentum);
    }
    order_of_rows<float>();
    order_of_rows<double>();
    for (const double rate : {0.8, 1.0, 1.2}) {
      taken_back<float>(40, rate);
      taken_back<double>(40, rate);
    }
    taken_back<float>(7, 0.5);
    taken_back<double>(7, 0.5);
    endings<float>();
    endings<double>();
  });
  return report("training");
}
