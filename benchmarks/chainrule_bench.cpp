// chainrule_bench: times the core on one network, under the roof that the same run measures.
//   chainrule_bench --widths 8,32,32,1 --activation relu --batch 32 --threads 1 --isa avx512
//   chainrule_bench --sweep 200     random shapes, to look for cliffs; CSV
//   chainrule_bench --growth        cost per row and memory of an epoch of 1e3 to 1e7 rows
// Before it times anything it checks cost and gradient against plain loops written here.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "training.hpp"

namespace {

using chainrule::Activation;
using Clock = std::chrono::steady_clock;

struct Options {
  std::vector<int> widths = {8, 32, 32, 1};
  std::string activation = "relu", isa, dtype = "float32";
  int batch = 32, threads = 1;
  double seconds = 0.3;
  int sweep = 0, seed = 1, most_rows = 10'000'000;
  bool json = false, growth = false;
};

constexpr const char* kUsage =
    "usage: chainrule_bench [options]\n"
    "  --widths 8,32,32,1    inputs, units of each layer\n"
    "  --activation relu     of the hidden layers; the last one is identity\n"
    "  --batch 32            rows of a step\n"
    "  --threads 1           most threads (small work stays on one)\n"
    "  --isa avx512          instruction set; the best one that the CPU has if not given\n"
    "  --dtype float32       or float64\n"
    "  --seconds 0.3         time for each figure\n"
    "  --json                one JSON object instead of the table\n"
    "  --sweep 200           steps of so many random shapes, as CSV: share of peak against flop,\n"
    "                        beside the median of similar shapes\n"
    "  --seed 1              of the random shapes\n"
    "  --growth              an epoch of 1e3 to 1e7 rows: time per row, memory announced and used\n"
    "  --rows 10000000       most rows of --growth\n";

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "chainrule_bench: error: %s\n", message.c_str());
  std::exit(2);
}

int whole_number(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 1 || value > 1'000'000'000)
    fail(flag + ": \"" + text + "\" is not a whole number from 1 to 1000000000");
  return static_cast<int>(value);
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (flag == "--json" || flag == "--growth") {
      (flag == "--json" ? o.json : o.growth) = true;
      continue;
    }
    if (i + 1 >= argc) fail(flag + ": needs a value, or is unknown; see --help");
    const std::string value = argv[++i];
    if (flag == "--widths") {
      o.widths.clear();
      std::istringstream list(value);
      for (std::string item; std::getline(list, item, ',');)
        o.widths.push_back(whole_number(flag, item));
      if (o.widths.size() < 2) fail("--widths: at least inputs and one layer, e.g. 8,32,1");
    } else if (flag == "--activation") {
      o.activation = value;
    } else if (flag == "--batch") {
      o.batch = whole_number(flag, value);
    } else if (flag == "--sweep") {
      o.sweep = whole_number(flag, value);
    } else if (flag == "--seed") {
      o.seed = whole_number(flag, value);
    } else if (flag == "--rows") {
      o.most_rows = whole_number(flag, value);
    } else if (flag == "--threads") {
      o.threads = whole_number(flag, value);
    } else if (flag == "--isa") {
      o.isa = value;
    } else if (flag == "--dtype") {
      if (value != "float32" && value != "float64")
        fail("--dtype: \"" + value + "\" is unknown; allowed: float32, float64");
      o.dtype = value;
    } else if (flag == "--seconds") {
      o.seconds = std::strtod(value.c_str(), nullptr);
      if (!(o.seconds > 0 && o.seconds < 1000)) fail("--seconds: from 0 to 1000");
    } else {
      fail(flag + ": unknown; see --help");
    }
  }
  return o;
}

struct Timing {
  double median = 0, spread = 0;  // seconds; half of the distance between the quartiles
};

Timing time_of(double seconds, const std::function<void()>& work) {
  const auto timed = [&](long repeats) {
    const auto start = Clock::now();
    for (long r = 0; r < repeats; ++r) work();
    return std::chrono::duration<double>(Clock::now() - start).count() /
           static_cast<double>(repeats);
  };
  timed(2);
  const long repeats = std::max(1L, static_cast<long>(seconds / 30 / std::max(timed(2), 1e-9)));
  std::vector<double> times;
  const auto start = Clock::now();
  while (
      times.size() < 5 ||
      (times.size() < 200 && std::chrono::duration<double>(Clock::now() - start).count() < seconds))
    times.push_back(timed(repeats));
  std::sort(times.begin(), times.end());
  const std::size_t n = times.size();
  return {times[n / 2], (times[3 * n / 4] - times[n / 4]) / 2};
}

// The plain loops share nothing with the kernels. z is one chain of multiply-adds in T, so that a
// unit near its kink falls on the same side; all the rest is in double.
template <class T>
T multiply_add(bool fused, T a, T b, T c) {
  return fused ? std::fma(a, b, c) : a * b + c;
}

double f_plain(Activation f, double z) {
  switch (f) {
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::leaky_relu:
      return z > 0 ? z : 0.01 * z;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::softplus:
      return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
    case Activation::gelu:
      return 0.5 * z * std::erfc(-z / std::sqrt(2.0));
    case Activation::silu:
      return z / (1 + std::exp(-z));
    default:
      return z;
  }
}

double df_plain(Activation f, double z) {
  const double s = 1 / (1 + std::exp(-z)), t = std::tanh(z);
  switch (f) {
    case Activation::relu:
      return z > 0 ? 1 : 0;
    case Activation::leaky_relu:
      return z > 0 ? 1 : 0.01;
    case Activation::sigmoid:
      return s * (1 - s);
    case Activation::tanh:
      return 1 - t * t;
    case Activation::softplus:
      return s;
    case Activation::gelu:
      return 0.5 * std::erfc(-z / std::sqrt(2.0)) + z * std::exp(-z * z / 2) * 0.3989422804014327;
    case Activation::silu:
      return s + z * s * (1 - s);
    default:
      return 1;
  }
}

template <class T>
double plain_gradient(const chainrule::Network<T>& net, const T* X, const T* Y, int m,
                      std::vector<double>& g) {
  const int L = net.L();
  std::vector<std::vector<double>> a(L + 1), z(L + 1), delta(L + 1);
  g.assign(static_cast<std::size_t>(net.layout.size), 0.0);
  double cost = 0;
  const double factor = 1.0 / (static_cast<double>(m) * net.n(L));
  const bool fused = chainrule::used_isa() != "baseline";
  std::vector<T> chain;
  for (int i = 0; i < m; ++i) {
    a[0].assign(X + static_cast<std::ptrdiff_t>(i) * net.n(0),
                X + static_cast<std::ptrdiff_t>(i + 1) * net.n(0));
    for (int l = 1; l <= L; ++l) {
      const int n_in = net.n(l - 1), n_out = net.n(l);
      const T* W = net.W(l);
      chain.assign(W + static_cast<std::ptrdiff_t>(n_in) * n_out,
                   W + (static_cast<std::ptrdiff_t>(n_in) + 1) * n_out);
      for (int k = 0; k < n_in; ++k)
        for (int j = 0; j < n_out; ++j)
          chain[j] = multiply_add(fused, static_cast<T>(a[l - 1][k]),
                                  W[static_cast<std::ptrdiff_t>(k) * n_out + j], chain[j]);
      z[l].assign(chain.begin(), chain.end());
      a[l].resize(n_out);
      for (int j = 0; j < n_out; ++j) a[l][j] = f_plain(net.f[l], z[l][j]);
    }
    delta[L].resize(net.n(L));
    for (int j = 0; j < net.n(L); ++j) {
      const double e = a[L][j] - Y[static_cast<std::ptrdiff_t>(i) * net.n(L) + j];
      cost += e * e * factor;
      delta[L][j] = 2 * factor * e * df_plain(net.f[L], z[L][j]);
    }
    for (int l = L; l >= 1; --l) {
      const int n_in = net.n(l - 1), n_out = net.n(l);
      const T* W = net.W(l);
      double* dW = g.data() + net.layout.W(l);
      if (l > 1) delta[l - 1].assign(n_in, 0.0);
      for (int k = 0; k <= n_in; ++k) {
        const double input = k < n_in ? a[l - 1][k] : 1.0;
        for (int j = 0; j < n_out; ++j) {
          dW[static_cast<std::ptrdiff_t>(k) * n_out + j] += input * delta[l][j];
          if (l > 1 && k < n_in)
            delta[l - 1][k] += delta[l][j] * W[static_cast<std::ptrdiff_t>(k) * n_out + j];
        }
        if (l > 1 && k < n_in) delta[l - 1][k] *= df_plain(net.f[l - 1], z[l - 1][k]);
      }
    }
  }
  return cost;
}

struct Figure {
  const char* what;
  Timing time;
  double flop;
};

// A network with random weights and its data.
template <class T>
struct Problem {
  chainrule::Network<T> net;
  std::ptrdiff_t m;
  chainrule::Buffer<T> X, Y;

  Problem(const std::vector<int>& widths, const std::string& activation, std::ptrdiff_t rows)
      : net(widths, activations(widths.size() - 1, activation)),
        m(rows),
        X(rows * widths.front()),
        Y(rows * widths.back()) {
    std::uint64_t at = 0;
    const auto draw = [&] { return 2 * (chainrule::random_bits(0, 0, at++) >> 11) * 0x1p-53 - 1; };
    for (int l = 1; l <= net.L(); ++l)
      for (std::ptrdiff_t i = 0; i < (net.n(l - 1) + std::ptrdiff_t{1}) * net.n(l); ++i)
        net.W(l)[i] = static_cast<T>(draw() * std::sqrt(3.0 / net.n(l - 1)));
    for (auto* buffer : {&X, &Y})
      for (std::ptrdiff_t i = 0; i < buffer->size(); ++i) (*buffer)[i] = static_cast<T>(2 * draw());
  }
  static std::vector<std::string> activations(std::size_t layers, const std::string& hidden) {
    std::vector<std::string> names(layers - 1, hidden);
    names.emplace_back("identity");
    return names;
  }
  chainrule::Data<T> data() const { return {X.data(), Y.data(), m}; }
};

// Cost and gradient against plain loops, on as many rows as those can do in a moment. The relative
// error; too large a one is the end.
template <class T>
double checked(const Problem<T>& p, double flop, int* rows = nullptr) {
  const int m =
      static_cast<int>(std::clamp(flop / (3 * p.net.flops(1)), 1.0, static_cast<double>(p.m)));
  if (rows != nullptr) *rows = m;
  std::vector<double> expected;
  const double cost = plain_gradient(p.net, p.X.data(), p.Y.data(), m, expected);
  std::vector<T> g(static_cast<std::size_t>(p.net.layout.size));
  const double got = chainrule::gradient<T>(p.net, {p.X.data(), p.Y.data(), m}, g.data());
  double largest = 0, worst = std::abs(got - cost) / cost;
  for (const double e : expected) largest = std::max(largest, std::abs(e));
  for (std::size_t i = 0; i < g.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(g[i]) - expected[i]) / largest);
  const double allowed = sizeof(T) == 4 ? 1e-4 : 1e-12;
  if (!(worst < allowed)) {
    std::fprintf(stderr, "chainrule_bench: wrong answer: relative error %.3g, allowed %.3g\n",
                 worst, allowed);
    std::exit(1);
  }
  return worst;
}

// The roof: each thread its own registers. GFLOP/s.
template <class T>
double peak_of(int threads, double seconds) {
  double flop = 0;
  const Timing t = time_of(seconds, [&] {
    chainrule::parallel(threads, [&](const chainrule::Team& team) {
      std::vector<double> of(static_cast<std::size_t>(threads));
      team.for_each(threads, [&](int unit, int) {
        T sink[64] = {T(0.9999), T(1e-3)};
        of[static_cast<std::size_t>(unit)] = chainrule::kernels<T>().fma_peak(200000, sink);
      });
      flop = std::accumulate(of.begin(), of.end(), 0.0);
    });
  });
  return flop / t.median / 1e9;
}

// A step inside one fit, as in training: epochs of one batch; rate 1e-30 leaves the weights.
template <class T>
Timing step_of(Problem<T>& p, double seconds) {
  chainrule::Trainer<T> trainer(p.net, chainrule::sgd(1e-30, 0));
  constexpr int kSteps = 8;
  const chainrule::Plan plan{kSteps, p.m, false, 0, 0};
  Timing step = time_of(seconds, [&] { trainer.fit(p.data(), {nullptr, nullptr, 0}, plan, {}); });
  step.median /= kSteps;
  step.spread /= kSteps;
  return step;
}

std::string joined(const std::vector<int>& widths) {
  std::string shape;
  for (const int n : widths) shape += (shape.empty() ? "" : "-") + std::to_string(n);
  return shape;
}

template <class T>
int run(const Options& o) {
  Problem<T> problem(o.widths, o.activation, o.batch);
  const auto& net = problem.net;
  const auto& kernels = chainrule::kernels<T>();
  const std::ptrdiff_t m = o.batch;
  int rows = 0;
  const double worst = checked(problem, 4e8, &rows);
  const double peak = peak_of<T>(o.threads, o.seconds);

  const int used = chainrule::threads_for_gradient(net, m);
  chainrule::Passes<T> passes(net, m, used);
  const chainrule::Batch<T> batch{problem.X.data(), problem.Y.data(), nullptr, m, m};
  const auto gradient_pass = [&] {
    chainrule::parallel(used, [&](const chainrule::Team& team) {
      passes.backpropagate(
          team, batch, [](std::ptrdiff_t, const T*, std::ptrdiff_t) {}, [] { return false; });
    });
  };
  std::vector<T> out(static_cast<std::size_t>(m * net.n(net.L())));
  const Timing forward =
      time_of(o.seconds, [&] { chainrule::predict(net, problem.X.data(), m, out.data()); });
  const Timing both = time_of(o.seconds, gradient_pass);
  const Timing backward{both.median - forward.median, both.spread + forward.spread};

  const Timing step = step_of(problem, o.seconds);
  const Timing row =
      time_of(o.seconds, [&] { chainrule::predict(net, problem.X.data(), 1, out.data()); });

  const double forward_flop = net.flops(m), step_flop = chainrule::gradient_flops(net, m);
  const Figure figures[] = {{"forward", forward, forward_flop},
                            {"backward", backward, step_flop - forward_flop},
                            {"step", step, step_flop},
                            {"one_row", row, net.flops(1)}};

  const std::string shape = joined(o.widths);
  if (o.json) {
    std::printf(
        "{\"widths\": \"%s\", \"activation\": \"%s\", \"batch\": %d, \"dtype\": \"%s\", "
        "\"isa\": \"%s\", \"threads\": %d, \"threads_used\": %d, "
        "\"way\": \"%s\", \"arena_bytes\": %td, \"peak_gflops\": %.4g, "
        "\"check_relative_error\": %.3g",
        shape.c_str(), o.activation.c_str(), o.batch, o.dtype.c_str(), kernels.isa, o.threads, used,
        passes.way(), passes.bytes(), peak, worst);
    for (const Figure& f : figures)
      std::printf(
          ", \"%s\": {\"seconds\": %.6g, \"spread\": %.3g, \"gflops\": %.4g, "
          "\"share_of_peak\": %.4g}",
          f.what, f.time.median, f.time.spread, f.flop / f.time.median / 1e9,
          f.flop / f.time.median / 1e9 / peak);
    std::puts("}");
    return 0;
  }
  std::printf("%s %s, batch %d, %s, %s, %d of %d threads\n", shape.c_str(), o.activation.c_str(),
              o.batch, o.dtype.c_str(), kernels.isa, used, o.threads);
  std::printf("answer: cost and gradient of %d rows equal plain loops, relative error %.1e\n", rows,
              worst);
  std::printf("way: %s, arena of %.3f MiB\n", passes.way(),
              static_cast<double>(passes.bytes()) / (1 << 20));
  std::printf("roof: %.1f GFLOP/s of multiply-adds on %d thread%s\n\n", peak, o.threads,
              o.threads == 1 ? "" : "s");
  std::printf("%-10s %12s %10s %10s %14s\n", "", "median us", "+- us", "GFLOP/s", "share of peak");
  for (const Figure& f : figures)
    std::printf("%-10s %12.3f %10.3f %10.2f %13.1f%%\n", f.what, f.time.median * 1e6,
                f.time.spread * 1e6, f.flop / f.time.median / 1e9,
                100 * f.flop / f.time.median / 1e9 / peak);
  return 0;
}

// Random shapes: widths that are no multiple of a vector, 1 to 8 layers, one input, one output.
struct Shape {
  std::vector<int> widths;
  int batch;
  std::string activation;
  double flop = 0, seconds = 0, share = 0;
  const char* way = "";

  // Where it stands among the others: what the share of peak may depend on.
  std::vector<double> place() const {
    const double narrowest = *std::min_element(widths.begin(), widths.end());
    return {0.5 * std::log2(flop), std::log2(std::min(narrowest, 16.0)),
            std::log2(std::min(batch, 128)), static_cast<double>(widths.size()) / 3};
  }
};

template <class T>
int sweep(const Options& o) {
  std::uint64_t at = 0;
  const auto uniform = [&] {
    return (chainrule::random_bits(static_cast<std::uint64_t>(o.seed), 9, at++) >> 11) * 0x1p-53;
  };
  const auto one_of = [&](const std::vector<int>& choices) {
    return choices[static_cast<std::size_t>(uniform() * static_cast<double>(choices.size()))];
  };
  const double peak = peak_of<T>(o.threads, o.seconds);
  std::vector<Shape> shapes;
  while (static_cast<int>(shapes.size()) < o.sweep) {
    Shape s;
    const int layers = 1 + static_cast<int>(uniform() * 8);
    for (int l = 0; l <= layers; ++l)
      s.widths.push_back(uniform() < 0.1 ? 1 : static_cast<int>(std::exp2(uniform() * 9.5)));
    if (uniform() < 0.3) s.widths.back() = 1;
    s.batch = one_of({1, 7, 32, 33, 100, 128, 256, 1000});
    s.activation = uniform() < 0.7 ? "relu" : "tanh";
    Problem<T> problem(s.widths, s.activation, s.batch);
    s.flop = chainrule::gradient_flops(problem.net, s.batch);
    if (s.flop > 4e8) continue;
    checked(problem, 1e6);
    s.seconds = step_of(problem, o.seconds / 10).median;
    s.share = s.flop / s.seconds / 1e9 / peak;
    s.way = chainrule::Passes<T>(problem.net, s.batch, 1).way();
    shapes.push_back(s);
  }
  std::puts("widths,activation,batch,dtype,isa,threads,way,mflop,us,share_of_peak,similar,ratio");
  for (const Shape& s : shapes) {
    std::vector<std::pair<double, double>> others;
    for (const Shape& other : shapes) {
      if (&other == &s) continue;
      double distance = 0;
      const auto a = s.place(), b = other.place();
      for (std::size_t i = 0; i < a.size(); ++i) distance += (a[i] - b[i]) * (a[i] - b[i]);
      others.emplace_back(distance, other.share);
    }
    const std::size_t near = std::min<std::size_t>(9, others.size());
    std::partial_sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(near),
                      others.end());
    std::vector<double> shares;
    for (std::size_t i = 0; i < near; ++i) shares.push_back(others[i].second);
    std::sort(shares.begin(), shares.end());
    const double similar = shares.empty() ? s.share : shares[shares.size() / 2];
    std::printf("%s,%s,%d,%s,%s,%d,%s,%.6g,%.4g,%.4f,%.4f,%.3f\n", joined(s.widths).c_str(),
                s.activation.c_str(), s.batch, o.dtype.c_str(), chainrule::kernels<T>().isa,
                o.threads, s.way, s.flop / 1e6, s.seconds * 1e6, s.share, similar,
                s.share / similar);
  }
  return 0;
}

// Memory of this process in bytes, from the system: "VmRSS" now, "VmHWM" at its highest since the
// mark was last put down. 0 where it cannot be had.
double memory(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(field, 0) == 0)
      return 1024 * std::strtod(line.c_str() + std::strlen(field) + 1, nullptr);
  return 0;
}

template <class T>
int growth(const Options& o) {
  std::printf("%s %s, batch %d, %s, %s, %d threads; ns per row of one epoch\n",
              joined(o.widths).c_str(), o.activation.c_str(), o.batch, o.dtype.c_str(),
              chainrule::kernels<T>().isa, o.threads);
  std::printf("%10s %12s %12s %16s %16s\n", "rows", "in order", "shuffled", "announced MiB",
              "used MiB");
  bool within = true;
  for (int rows = 1000; rows <= o.most_rows; rows *= 10) {
    Problem<T> problem(o.widths, o.activation, rows);
    checked(problem, 1e6);
    double ns[2] = {0, 0}, announced = 0, used = 0;
    for (const bool shuffle : {false, true}) {
      const chainrule::Plan plan{1, o.batch, shuffle, 1, 0};
      std::ofstream("/proc/self/clear_refs") << "5";  // puts the mark down
      const double before = memory("VmRSS:");
      chainrule::Trainer<T> trainer(problem.net, chainrule::sgd(1e-30, 0));
      announced = static_cast<double>(trainer.fit_bytes(rows, plan));
      const Timing t =
          time_of(o.seconds, [&] { trainer.fit(problem.data(), {nullptr, nullptr, 0}, plan, {}); });
      ns[shuffle ? 1 : 0] = t.median / rows * 1e9;
      used = memory("VmHWM:") - before;
    }
    std::printf("%10d %12.2f %12.2f %16.2f %16.2f\n", rows, ns[0], ns[1], announced / (1 << 20),
                used / (1 << 20));
    std::fflush(stdout);
    // A thread's stack, page rounding and the timer's own lists aside.
    within = within && used < announced + (4 << 20);
  }
  if (!within) std::fprintf(stderr, "chainrule_bench: more memory used than announced\n");
  return within ? 0 : 1;
}

template <class T>
int chosen(const Options& o) {
  chainrule::set_max_threads(o.threads);
  return o.sweep > 0 ? sweep<T>(o) : o.growth ? growth<T>(o) : run<T>(o);
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  try {
    if (!o.isa.empty()) chainrule::set_isa(o.isa);
    chainrule::activation_named(o.activation);
    return o.dtype == "float32" ? chosen<float>(o) : chosen<double>(o);
  } catch (const std::bad_alloc&) {
    fail("not enough memory for this network and batch");
  } catch (const std::exception& e) {
    fail(e.what());
  }
}
