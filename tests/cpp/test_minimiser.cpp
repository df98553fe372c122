// The line search and L-BFGS on functions whose minimum is known: conditions of every step, every
// way to end, the same bits for any team and any number of calls.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "check.hpp"
#include "minimiser.hpp"

namespace {

using chainrule::Ended;
using chainrule::Found;
using chainrule::LbfgsOptions;
using chainrule::LinePoint;
using chainrule::LineSearch;
using chainrule::Minimiser;
using chainrule::Wolfe;

using Vector = std::vector<double>;
using Function = std::function<double(const Vector& x, Vector& g)>;

// ------------------------------------------------------------------------------ along a line

struct Line {
  const char* name;
  std::function<double(double)> value, slope;
};

const std::vector<Line>& lines() {
  static const std::vector<Line> all = {
      {"parabola", [](double t) { return (t - 3) * (t - 3); },
       [](double t) { return 2 * (t - 3); }},
      {"quartic", [](double t) { return t * t * t * t - 4 * t * t - t; },
       [](double t) { return 4 * t * t * t - 8 * t - 1; }},
      {"Moré and Thuente 1", [](double t) { return -t / (t * t + 2); },
       [](double t) { return (t * t - 2) / ((t * t + 2) * (t * t + 2)); }},
      {"Moré and Thuente 2",
       [](double t) { return std::pow(t + 0.004, 5) - 2 * std::pow(t + 0.004, 4); },
       [](double t) { return 5 * std::pow(t + 0.004, 4) - 8 * std::pow(t + 0.004, 3); }},
      {"waves", [](double t) { return std::cos(3 * t) + 0.1 * t * t - t; },
       [](double t) { return -3 * std::sin(3 * t) + 0.2 * t - 1; }},
      {"wall", [](double t) { return t < 0.7 ? -t - 0.1 * std::log(0.7 - t) : NAN; },
       [](double t) { return t < 0.7 ? -1 + 0.1 / (0.7 - t) : NAN; }},
  };
  return all;
}

LineSearch search(const Line& line, double first, const Wolfe& rule) {
  const auto phi = [&](double alpha, LinePoint& p) {
    p = {alpha, line.value(alpha), line.slope(alpha)};
    return true;
  };
  return chainrule::strong_wolfe(phi, {0, line.value(0), line.slope(0)}, first, rule);
}

void line_searches() {
  for (const Line& line : lines())
    for (const double first : {1e-3, 0.1, 1.0, 10.0, 1000.0})
      for (const double c2 : {0.9, 0.1, 1e-3}) {
        // There slopes are below 1e-6 for as far as rounding hides what is lower.
        if (&line == &lines()[3] && c2 < 0.9) continue;
        Wolfe rule;
        rule.c2 = c2;
        const LineSearch found = search(line, first, rule);
        const double t = found.point.alpha;
        CHECK(found.found == Found::wolfe) << line.name << " from " << first << " c2 " << c2;
        CHECK(line.value(t) <= line.value(0) + rule.c1 * t * line.slope(0)) << line.name;
        CHECK(std::abs(line.slope(t)) <= c2 * std::abs(line.slope(0))) << line.name << " " << t;
        CHECK(found.point.value == line.value(t) && found.point.slope == line.slope(t));
        CHECK(found.evaluations >= 1 && found.evaluations <= rule.most) << found.evaluations;
      }
  // The cubic through two points of a cubic is that cubic.
  const auto cubic = [](double t) { return LinePoint{t, t * t * t - 3 * t, 3 * t * t - 3}; };
  CHECK(std::abs(chainrule::cubic_minimum(cubic(-0.5), cubic(2)) - 1) < 1e-15);
  CHECK(std::abs(chainrule::cubic_minimum(cubic(2), cubic(-0.5)) - 1) < 1e-15);

  // Nothing lower, too few evaluations, no end, a caller who stops.
  const Line upward{"upward", [](double t) { return t == 0 ? 0 : 1.0; }, [](double) { return -1; }};
  CHECK(search(upward, 1, {}).found == Found::nothing);
  CHECK(search(upward, 1, {}).evaluations == 25);
  Wolfe coarse;
  coarse.resolution = 0.3;
  CHECK(search(upward, 1, coarse).found == Found::nothing);
  CHECK(search(upward, 1, coarse).evaluations < 6);
  const Line downward{"downward", [](double t) { return -t; }, [](double) { return -1; }};
  const LineSearch endless = search(downward, 1, {});
  CHECK(endless.found == Found::decrease && endless.evaluations == 25);
  CHECK(endless.point.value < -1e6 && endless.point.value == -endless.point.alpha);
  Wolfe short_of;
  short_of.c2 = 1e-9;
  short_of.most = 4;
  const LineSearch early = search(lines()[4], 1, short_of);
  CHECK(early.found == Found::decrease && early.evaluations == 4);
  CHECK(early.point.value == lines()[4].value(early.point.alpha) && early.point.value < 0.9);
  // A value without a slope, or below all bounds, is none.
  const Line edge{"edge", [](double t) { return (t - 3) * (t - 3); },
                  [](double t) { return t < 2.5 ? 2 * (t - 3) : NAN; }};
  const Line hole{"hole", [](double t) { return t < 2.5 ? (t - 3) * (t - 3) : -INFINITY; },
                  [](double t) { return 2 * (t - 3); }};
  for (const Line& line : {edge, hole}) {
    CHECK(search(line, 10, {}).found == Found::wolfe) << line.name;
    CHECK(search(line, 10, {}).point.alpha < 2.5) << line.name;
  }
  // A point that decreases enough but lies above another one: what is sought is between them.
  const Line step{"step", [](double t) { return t < 1.5 ? -t : -0.01 * t; },
                  [](double) { return -1; }};
  CHECK(search(step, 1, {}).point.alpha >= 1 && search(step, 1, {}).point.alpha < 1.5);
  int calls = 0;
  const auto stops = [&](double alpha, LinePoint& p) {
    p = {alpha, -alpha, -1};
    return ++calls < 3;
  };
  CHECK(chainrule::strong_wolfe(stops, {0, 0, -1}, 1, {}).found == Found::stopped && calls == 3);
}

// ------------------------------------------------------------------------------ functions

double rosenbrock(const Vector& x, Vector& g) {
  double sum = 0;
  std::fill(g.begin(), g.end(), 0.0);
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    const double p = x[i + 1] - x[i] * x[i], q = 1 - x[i];
    sum += 100 * p * p + q * q;
    g[i] += -400 * x[i] * p - 2 * q;
    g[i + 1] += 200 * p;
  }
  return sum;
}

// Curvatures from 1 to 1e4, minimum 0 at x = 2.
double ellipsoid(const Vector& x, Vector& g) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double c = std::pow(1e4, static_cast<double>(i) / static_cast<double>(x.size() - 1));
    sum += c * (x[i] - 2) * (x[i] - 2) / 2;
    g[i] = c * (x[i] - 2);
  }
  return sum;
}

// Nothing where a number is at most 0; minimum at x = 1.
double barrier(const Vector& x, Vector& g) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += x[i] > 0 ? x[i] - std::log(x[i]) : NAN;
    g[i] = 1 - 1 / x[i];
  }
  return sum;
}

struct Run {
  Vector x;
  Ended ended = Ended::iterations;
  std::vector<double> cost;
  std::int64_t iterations = 0, evaluations = 0;
};

// What a test may do between iterations; returns true to stop.
using Between = std::function<bool(int, Vector&)>;

Run minimise(Minimiser<double>& minimiser, const Function& f, const Vector& from, int iterations,
             int team_size = 1, const Between& between = {}, int stop_after = -1) {
  Run run{from, Ended::iterations, {}, 0, 0};
  Vector g(from.size()), x(from.size());
  int evaluations = 0;
  bool broken = false;
  Minimiser<double>::Task task;
  task.theta = run.x.data();
  task.evaluate = [&](double* to) {
    broken = stop_after >= 0 && ++evaluations > stop_after;
    x = run.x;
    const double value = f(x, g);
    std::copy(g.begin(), g.end(), to);
    return broken ? std::numeric_limits<double>::infinity() : value;
  };
  task.observe = [&](int iteration, double cost) {
    run.cost.push_back(cost);
    CHECK(iteration + 1 == static_cast<int>(run.cost.size()));
    return between ? between(iteration, run.x) : false;
  };
  task.interrupted = [&] { return broken; };
  minimiser.prepare(iterations);
  chainrule::parallel(team_size, [&](const chainrule::Team& team) {
    run.ended = minimiser.run(team, task, iterations);
  });
  run.iterations = minimiser.iterations();
  run.evaluations = minimiser.evaluations();
  return run;
}

Run minimise(const Function& f, const Vector& from, const LbfgsOptions& options = {},
             int iterations = 2000) {
  Minimiser<double> minimiser(static_cast<std::ptrdiff_t>(from.size()), options);
  return minimise(minimiser, f, from, iterations);
}

LbfgsOptions exact() {
  LbfgsOptions options;
  options.tolerance_grad = 1e-10;
  options.tolerance_change = 0;
  return options;
}

double distance(const Vector& x, double to) {
  double most = 0;
  for (const double v : x) most = std::max(most, std::abs(v - to));
  return most;
}

double steepest(const Function& f, const Vector& x) {
  Vector g(x.size());
  f(x, g);
  return distance(g, 0);
}

void minima() {
  // Evaluations that SciPy's L-BFGS-B (maxcor=history_size, gtol=1e-10, ftol=0) takes: ours are of
  // the same number.
  struct Known {
    const char* name;
    Function f;
    Vector from;
    int history_size;
    double minimum, evaluations;
  };
  const Known known[] = {
      {"Rosenbrock 2", rosenbrock, {-1.2, 1}, 10, 1, 47},
      {"Rosenbrock 100", rosenbrock, Vector(100, -1.0), 10, 1, 633},
      {"ellipsoid 6", ellipsoid, Vector(6, 0.0), 10, 2, 54},
      {"ellipsoid 6, one pair", ellipsoid, Vector(6, 0.0), 1, 2, 1436},
      {"ellipsoid 50", ellipsoid, Vector(50, 0.0), 10, 2, 1284},
      {"ellipsoid 50, 20 pairs", ellipsoid, Vector(50, 0.0), 20, 2, 1134},
  };
  for (const Known& k : known) {
    LbfgsOptions options = exact();
    options.history_size = k.history_size;
    const Run run = minimise(k.f, k.from, options, 4000);
    CHECK(run.ended == Ended::gradient) << k.name << " " << static_cast<int>(run.ended);
    CHECK(steepest(k.f, run.x) <= 1e-10) << k.name;
    CHECK(distance(run.x, k.minimum) < 1e-9) << k.name << " " << distance(run.x, k.minimum);
    const auto evaluations = static_cast<double>(run.evaluations);
    CHECK(evaluations < 1.25 * k.evaluations && evaluations > k.evaluations / 1.5)
        << k.name << " " << evaluations;
  }
  for (const double rate : {1.0, 100.0, 1e6}) {  // too far, into what has no value
    LbfgsOptions options = exact();
    options.learning_rate = rate;
    const Run walled = minimise(barrier, {0.01, 3, 50}, options);
    CHECK(walled.ended == Ended::gradient || walled.ended == Ended::line_search) << rate;
    CHECK(distance(walled.x, 1) < 1e-7) << rate;  // where rounding hides what is lower
    CHECK(walled.iterations < 40) << rate;
  }
  // The scale of the cost has no say.
  const Function huge = [](const Vector& x, Vector& g) {
    const double value = rosenbrock(x, g);
    for (double& v : g) v *= 1e20;
    return 1e20 * value;
  };
  LbfgsOptions scaled = exact();
  scaled.tolerance_grad = 1e10;
  const Run large = minimise(huge, {-1.2, 1}, scaled);
  CHECK(large.ended == Ended::gradient && large.iterations < 60) << large.iterations;
}

// Each step satisfies both conditions, and goes along what the textbook's recursion says.
void every_step(int history_size) {
  struct Pair {
    Vector s, y;
  };
  LbfgsOptions options = exact();
  options.history_size = history_size;
  const Vector from{-1.2, 1, 0.5, -0.3, 2};
  Minimiser<double> minimiser(5, options);
  std::vector<Pair> pairs;
  Vector before = from, g_before(5), g(5);
  double cost_before = rosenbrock(before, g_before);
  const auto dot = [](const Vector& p, const Vector& q) {
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] * q[i];
    return sum;
  };
  // H, built by the update (6.17) from the pairs: no recursion.
  const auto direction = [&] {
    const std::size_t n = g_before.size();
    std::vector<Vector> H(n, Vector(n, 0.0));
    const double gamma =
        pairs.empty() ? 1
                      : dot(pairs.back().s, pairs.back().y) / dot(pairs.back().y, pairs.back().y);
    for (std::size_t i = 0; i < n; ++i) H[i][i] = gamma;
    for (const Pair& p : pairs) {
      const double rho = 1 / dot(p.s, p.y);
      Vector Hy(n, 0.0);
      for (std::size_t i = 0; i < n; ++i) Hy[i] = dot(H[i], p.y);
      const double yHy = dot(p.y, Hy);
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
          H[i][j] +=
              (1 + rho * yHy) * rho * p.s[i] * p.s[j] - rho * (Hy[i] * p.s[j] + p.s[i] * Hy[j]);
    }
    Vector d(n);
    for (std::size_t i = 0; i < n; ++i) d[i] = -dot(H[i], g_before);
    return d;
  };
  int steps = 0;
  const Run run = minimise(minimiser, rosenbrock, from, 200, 1, [&](int, Vector& x) {
    const double cost = rosenbrock(x, g);
    Pair pair{x, g};
    for (std::size_t i = 0; i < x.size(); ++i) {
      pair.s[i] -= before[i];
      pair.y[i] -= g_before[i];
    }
    const Vector d = direction();
    const double along = dot(pair.s, d) / std::sqrt(dot(pair.s, pair.s) * dot(d, d));
    CHECK(along > 1 - 1e-9) << "step " << steps << ": cosine " << along;
    CHECK(cost <= cost_before + 1e-4 * dot(pair.s, g_before)) << steps;
    CHECK(std::abs(dot(pair.s, g)) <= 0.9 * std::abs(dot(pair.s, g_before)) * (1 + 1e-12)) << steps;
    CHECK(minimiser.last_search() == Found::wolfe);
    pairs.push_back(pair);
    if (static_cast<int>(pairs.size()) > history_size) pairs.erase(pairs.begin());
    CHECK(minimiser.pairs() == static_cast<int>(pairs.size()));
    for (int k = 0; k < minimiser.pairs(); ++k)
      CHECK(std::equal(pairs[k].s.begin(), pairs[k].s.end(), minimiser.s(k)) &&
            std::equal(pairs[k].y.begin(), pairs[k].y.end(), minimiser.y(k)));
    before = x;
    g_before = g;
    cost_before = cost;
    ++steps;
    return steepest(rosenbrock, x) < 1e-6;  // below, rounding has a say in the direction
  });
  CHECK(run.ended == Ended::observer && steps > 15) << steps;
}

void endings() {
  const Vector from{-1.2, 1};
  Minimiser<double> all(2, exact()), parts(2, exact());
  const Run whole = minimise(all, rosenbrock, from, 20);
  CHECK(whole.ended == Ended::iterations && whole.iterations == 20 && whole.cost.size() == 20);
  const Run first = minimise(parts, rosenbrock, from, 7);
  const Run second = minimise(parts, rosenbrock, first.x, 1);
  const Run third = minimise(parts, rosenbrock, second.x, 12);
  CHECK(third.x == whole.x && third.iterations == 20);
  CHECK(third.cost.back() == whole.cost.back());

  // Interrupted after any evaluation: theta is that after the last finished iteration.
  for (int after = 0; after < 30; ++after) {
    Minimiser<double> broken(2, exact()), calm(2, exact());
    const Run cut = minimise(broken, rosenbrock, from, 100, 1, {}, after);
    CHECK(cut.ended == Ended::interrupted) << after;
    const auto done = static_cast<int>(cut.cost.size());
    CHECK(cut.x == (done == 0 ? from : minimise(calm, rosenbrock, from, done).x)) << after;
  }

  // The other tolerances.
  LbfgsOptions gradient = exact(), change = exact();
  gradient.tolerance_grad = 1e-2;
  const Run steep = minimise(rosenbrock, from, gradient);
  CHECK(steep.ended == Ended::gradient && steepest(rosenbrock, steep.x) <= 1e-2);
  CHECK(steepest(rosenbrock, steep.x) > 1e-10);
  change.tolerance_grad = 0;
  change.tolerance_change = 1e-3;
  const Run slow = minimise(rosenbrock, from, change);
  CHECK(slow.ended == Ended::change) << static_cast<int>(slow.ended);
  CHECK(slow.cost.size() > 5);

  // Either is enough: parameters that hardly change while the cost does, and the other way round.
  for (const double scale : {1e12, 1e-12}) {
    const Function f = [&](const Vector& x, Vector& slope) {
      const double value = scale * rosenbrock(x, slope);
      for (double& v : slope) v *= scale;
      return value;
    };
    LbfgsOptions coarse = exact();
    coarse.tolerance_grad = 0;
    coarse.tolerance_change = 1e-4;
    coarse.learning_rate = scale > 1 ? 1 : 1e9;
    const Run run = minimise(f, from, coarse);
    CHECK(run.ended == Ended::change && run.iterations < 60) << scale << " " << run.iterations;
    CHECK((run.iterations == 1) == (scale < 1)) << run.iterations;
    const double fall = (run.cost.size() > 1 ? run.cost.end()[-2] : 24.2 * scale) - run.cost.back();
    CHECK((fall > coarse.tolerance_change) == (scale > 1)) << fall;
  }

  // At the minimum: one iteration that changes nothing.
  const Run there = minimise(rosenbrock, {1, 1}, exact());
  CHECK(there.ended == Ended::gradient && there.x == Vector({1, 1}));
  CHECK(there.cost == std::vector<double>({0.0}) && there.evaluations == 1);

  // A gradient that points uphill: nothing is lower, nothing changes.
  const Function wrong = [](const Vector& x, Vector& g) {
    const double value = rosenbrock(x, g);
    for (double& v : g) v = -v;
    return value;
  };
  const Run stuck = minimise(wrong, from, exact());
  CHECK(stuck.ended == Ended::line_search && stuck.x == from && stuck.cost.size() == 1);
  CHECK(stuck.evaluations == 26) << stuck.evaluations;
  LbfgsOptions coarse = exact();
  coarse.tolerance_change = 1e-3;  // no parameter moves further any more: no need to look
  CHECK(minimise(wrong, from, coarse).evaluations < 15);

  // Too few evaluations: the best point of the line is taken, not the last one that was tried.
  const Function cliff = [](const Vector& x, Vector& g) {
    g[0] = -1;
    return x[0] < 1 ? -x[0] : NAN;
  };
  LbfgsOptions hasty = exact();
  hasty.max_line_search = 2;
  hasty.learning_rate = 0.5;
  const Run brief = minimise(cliff, {0}, hasty, 1);
  CHECK(brief.x == Vector({0.5}) && brief.cost == std::vector<double>({-0.5})) << brief.x[0];
  CHECK(brief.ended == Ended::iterations && brief.evaluations == 4);
  hasty.max_line_search = 5;
  CHECK(minimise(cliff, {0}, hasty, 3).cost.back() < -0.8);

  // What is remembered leads nowhere: of a function so flat that its steps are 1e40 times too long.
  const Function flat = [](const Vector& x, Vector& g) {
    const double value = ellipsoid(x, g);
    for (double& v : g) v *= 1e-40;
    return 1e-40 * value;
  };
  LbfgsOptions any = exact();
  any.tolerance_grad = 0;
  any.learning_rate = 1e39;
  Minimiser<double> misled(2, any);
  const Run lead = minimise(misled, flat, from, 1);
  CHECK(misled.pairs() == 1) << misled.pairs();
  misled.options.tolerance_grad = 1e-10;
  misled.options.learning_rate = 1;
  const Run found = minimise(misled, ellipsoid, lead.x, 500);
  CHECK(found.ended == Ended::gradient && distance(found.x, 2) < 1e-9) << distance(found.x, 2);

  LbfgsOptions once = exact();
  once.max_line_search = 1;
  once.learning_rate = 0.1;
  // A change along which the slope falls is not remembered.
  const Function downhill = [](const Vector& x, Vector& g) {
    g[0] = -std::exp(x[0]);
    return -std::exp(x[0]);
  };
  Minimiser<double> sliding(1, once);
  CHECK(minimise(sliding, downhill, {0}, 1).x[0] == 0.1 && sliding.pairs() == 0);

  // No value at the start.
  const Run lost = minimise(barrier, {-1, 2}, exact());
  CHECK(lost.ended == Ended::diverged && lost.cost.empty() && lost.x == Vector({-1, 2}));
  const Function steep_end = [](const Vector& x, Vector& g) {
    g[0] = INFINITY;
    return x[0];
  };
  CHECK(minimise(steep_end, {1}, exact()).ended == Ended::diverged);

  // Whoever is told of an iteration may stop, or move theta: then the gradient is taken there.
  Minimiser<double> told(2, exact());
  const Run ended = minimise(told, rosenbrock, from, 50, 1, [](int i, Vector&) { return i == 3; });
  CHECK(ended.ended == Ended::observer && ended.cost.size() == 4);
  Minimiser<double> moved(2, exact());
  const Vector elsewhere{2, -3};
  Vector after_move;
  const Run jumped = minimise(moved, rosenbrock, from, 100, 1, [&](int i, Vector& x) {
    if (i == 3) x = elsewhere;
    if (i == 4) after_move = x;
    return false;
  });
  Vector g(2), g_after(2);
  CHECK(jumped.cost[4] < rosenbrock(elsewhere, g)) << jumped.cost[4];
  const double at = rosenbrock(after_move, g_after);
  CHECK(at == jumped.cost[4]);
  for (int k = 0; k < 2; ++k)
    CHECK(jumped.ended == Ended::gradient && std::abs(jumped.x[k] - 1) < 1e-9);

  // Another function in the next call: no stale gradient.
  Minimiser<double> turned(2, exact());
  const Run one = minimise(turned, rosenbrock, from, 5);
  const Run two = minimise(turned, ellipsoid, one.x, 100);
  CHECK(two.ended == Ended::gradient && distance(two.x, 2) < 1e-9);
  CHECK(two.cost[0] < ellipsoid(one.x, g));
  turned.forget();
  CHECK(turned.pairs() == 0);
}

// float: the sums are in double, the vectors are not.
void single_precision() {
  std::vector<float> x{-1.2F, 1.0F};
  LbfgsOptions options;
  Minimiser<float> minimiser(2, options);
  Minimiser<float>::Task task;
  task.theta = x.data();
  task.evaluate = [&](float* g) {
    const float p = x[1] - x[0] * x[0], q = 1 - x[0];
    g[0] = -400 * x[0] * p - 2 * q;
    g[1] = 200 * p;
    return static_cast<double>(100 * p * p + q * q);
  };
  task.interrupted = [] { return false; };
  minimiser.prepare(200);
  const Ended ended = minimiser.run(chainrule::Team(), task, 200);
  CHECK(ended != Ended::iterations && ended != Ended::diverged) << static_cast<int>(ended);
  CHECK(std::abs(x[0] - 1) < 2e-3F && std::abs(x[1] - 1) < 4e-3F) << x[0] << " " << x[1];
  CHECK(minimiser.bytes() == (2 * 11 + 4) * 2 * 4) << minimiser.bytes();
}

void same_bits_for_any_team() {
  const std::size_t n = 8 * chainrule::kSumBlock * 2 + 77;
  const Function f = [](const Vector& x, Vector& g) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double c = 1 + static_cast<double>(i % 97), e = x[i] - 1 / c;
      sum += c * e * e + e * e * e * e;
      g[i] = 2 * c * e + 4 * e * e * e;
    }
    return sum;
  };
  Vector from(n);
  Random random(5);
  for (double& v : from) v = random.real();
  Vector right;
  for (const int size : {1, 2, 3, 7}) {
    Minimiser<double> minimiser(static_cast<std::ptrdiff_t>(n), exact());
    const Run run = minimise(minimiser, f, from, 14, size);
    CHECK(run.iterations == 14);
    if (size == 1) right = run.x;
    CHECK(run.x == right) << size;
  }
  Minimiser<double> to_the_end(static_cast<std::ptrdiff_t>(n), {});
  const Run run = minimise(to_the_end, f, from, 500, 3);
  CHECK(run.iterations < 100 && run.ended != Ended::iterations) << run.iterations;
  for (std::size_t i = 0; i < n; ++i)
    if (std::abs(run.x[i] - 1 / (1 + static_cast<double>(i % 97))) > 1e-5) {
      CHECK(false) << i << " " << run.x[i];
      break;
    }
}

}  // namespace

int main() {
  line_searches();
  minima();
  for (const int history_size : {1, 3, 10}) every_step(history_size);
  endings();
  single_precision();
  same_bits_for_any_team();
  return report("minimiser");
}
