// The passes against plain loops in double, and bit for bit against each other: any number of
// threads, any split of the rows, AVX2 like AVX-512, either way through the network, and, where
// sums are short enough to be written down, like naive chains.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "check.hpp"
#include "training.hpp"

namespace {

using chainrule::Activation;
using chainrule::Data;
using chainrule::Network;

template <class T>
struct Problem {
  Network<T> net;
  std::vector<T> X, Y;
  std::ptrdiff_t m;

  Problem(const std::vector<int>& widths, const std::string& f, std::ptrdiff_t rows)
      : net(widths, std::vector<std::string>(widths.size() - 1, f)),
        X(rows * widths.front()),
        Y(rows * widths.back()),
        m(rows) {
    Random random(11);
    for (std::ptrdiff_t i = 0; i < net.theta.size(); ++i)
      net.theta[i] = static_cast<T>(random.real() * 0.3);
    for (T& x : X) x = static_cast<T>(random.real());
    for (T& y : Y) y = static_cast<T>(random.real());
  }
  Data<T> data() const { return {X.data(), Y.data(), m}; }
};

double f_plain(Activation f, double z) {
  return f == Activation::tanh ? std::tanh(z) : f == Activation::relu ? std::max(z, 0.0) : z;
}
double df_plain(Activation f, double z) {
  return f == Activation::tanh   ? 1 - std::tanh(z) * std::tanh(z)
         : f == Activation::relu ? (z > 0 ? 1 : 0)
                                 : 1;
}

// The four equations, one sample after the other, every sum in double.
template <class T>
double plain(const Problem<T>& p, std::vector<double>& g, std::vector<double>& out) {
  const Network<T>& net = p.net;
  const int L = net.L();
  std::vector<std::vector<double>> a(L + 1), z(L + 1), delta(L + 1);
  g.assign(net.theta.size(), 0);
  out.clear();
  double cost = 0;
  const double share = 1.0 / (static_cast<double>(p.m) * net.n(L));
  for (std::ptrdiff_t i = 0; i < p.m; ++i) {
    a[0].assign(p.X.begin() + i * net.n(0), p.X.begin() + (i + 1) * net.n(0));
    for (int l = 1; l <= L; ++l) {
      z[l].assign(net.n(l), 0);
      a[l].assign(net.n(l), 0);
      for (int j = 0; j < net.n(l); ++j) {
        double sum = net.theta.data()[net.layout.b(l) + j];
        for (int k = 0; k < net.n(l - 1); ++k) sum += a[l - 1][k] * net.W(l)[k * net.n(l) + j];
        z[l][j] = sum;
        a[l][j] = f_plain(net.f[l], sum);
      }
    }
    delta[L].assign(net.n(L), 0);
    for (int j = 0; j < net.n(L); ++j) {
      const double e = a[L][j] - p.Y[i * net.n(L) + j];
      cost += e * e * share;
      delta[L][j] = 2 * share * e * df_plain(net.f[L], z[L][j]);
      out.push_back(a[L][j]);
    }
    for (int l = L; l > 1; --l) {
      delta[l - 1].assign(net.n(l - 1), 0);
      for (int k = 0; k < net.n(l - 1); ++k) {
        double sum = 0;
        for (int j = 0; j < net.n(l); ++j) sum += delta[l][j] * net.W(l)[k * net.n(l) + j];
        delta[l - 1][k] = sum * df_plain(net.f[l - 1], z[l - 1][k]);
      }
    }
    for (int l = 1; l <= L; ++l)
      for (int j = 0; j < net.n(l); ++j) {
        for (int k = 0; k < net.n(l - 1); ++k)
          g[net.layout.W(l) + k * net.n(l) + j] += delta[l][j] * a[l - 1][k];
        g[net.layout.b(l) + j] += delta[l][j];
      }
  }
  return cost;
}

// The gradient by a chosen way.
template <class T>
double gradient_by(typename chainrule::Passes<T>::Way way, int threads, const Problem<T>& p,
                   std::vector<T>& g, double& cost_alone) {
  chainrule::Passes<T> passes(p.net, p.m, threads, true, way);
  const chainrule::Batch<T> batch{p.X.data(), p.Y.data(), nullptr, p.m, p.m};
  g.assign(static_cast<std::size_t>(p.net.theta.size()), T(-1));
  double cost = 0;
  chainrule::parallel(threads, [&](const chainrule::Team& team) {
    cost = passes
               .backpropagate(
                   team, batch,
                   [&](std::ptrdiff_t at, const T* part, std::ptrdiff_t n) {
                     std::copy_n(part, n, g.begin() + at);
                   },
                   [] { return false; })
               .cost;
    cost_alone = passes.cost(team, batch);
  });
  return cost;
}

// One linear layer, where the whole gradient can be written down: chains over a block's samples,
// blocks added within spans, spans in order.
template <class T>
void naive_sums(const std::string& isa) {
  if (!fuses(isa)) return;
  for (const std::ptrdiff_t m : {1, 127, 128, 129, 200, 257, 897, 1000, 1024, 1025, 5000}) {
    // As few blocks as possible, of the same size up to a multiple of 8.
    std::ptrdiff_t rows = 128;
    if (m <= 1024)
      while (rows > 8 && (rows - 8) * ((m + 127) / 128) >= m) rows -= 8;
    const Problem<T> p({3, 2}, "identity", m);
    std::vector<T> expected(p.net.theta.size()), span(expected.size()), block(expected.size());
    const T scale = static_cast<T>(2.0 / (2.0 * static_cast<double>(m)));
    double cost = 0, block_cost = 0;
    for (std::ptrdiff_t i = 0; i < m; ++i) {
      double row_cost = 0;
      for (int j = 0; j < 2; ++j) {
        T z = p.net.theta.data()[p.net.layout.b(1) + j];
        for (int k = 0; k < 3; ++k) z = std::fma(p.net.W(1)[k * 2 + j], p.X[i * 3 + k], z);
        const T e = z - p.Y[i * 2 + j];
        row_cost = std::fma(static_cast<double>(e), static_cast<double>(e), row_cost);
        for (int k = 0; k <= 3; ++k) {
          T& sum = block[k * 2 + j];
          sum = std::fma(k < 3 ? p.X[i * 3 + k] : T(1), e * scale, i % rows == 0 ? T(0) : sum);
        }
      }
      block_cost += row_cost;
      if (i % 128 == 127 || i == m - 1) {
        cost += block_cost;
        block_cost = 0;
      }
      if (i % rows != rows - 1 && i != m - 1) continue;
      const std::ptrdiff_t b = i / rows;
      for (std::size_t w = 0; w < span.size(); ++w) {
        span[w] = b % 8 == 0 ? block[w] : span[w] + block[w];
        if (b % 8 == 7 || i == m - 1) expected[w] = b < 8 ? span[w] : expected[w] + span[w];
      }
    }
    cost /= 2.0 * static_cast<double>(m);
    using Way = typename chainrule::Passes<T>::Way;
    for (const Way way : {Way::fused, Way::layered})
      for (const int threads : {1, 2, 3}) {
        std::vector<T> g;
        double alone = 0;
        const double got = gradient_by(way, threads, p, g, alone);
        CHECK(g == expected && got == cost && alone == cost)
            << isa << " naive sums over " << m << " samples, " << threads << " threads";
      }
  }
}

// Both ways, any number of threads.
template <class T>
void same_by_either_way(const std::string& isa) {
  const std::vector<std::vector<int>> shapes = {{1, 1},           {8, 32, 32, 1},   {17, 64, 64, 6},
                                                {33, 31, 129, 2}, {3, 5, 40, 2, 1}, {70, 300, 1},
                                                {40, 300, 260, 5}};
  for (const auto& widths : shapes)
    for (const std::string f : {"relu", "tanh", "gelu"})
      for (const std::ptrdiff_t m : {1, 7, 33, 130, 700, 2500}) {
        if ((f == "gelu" && m > 130) || (widths.back() == 5 && m > 700)) continue;
        const Problem<T> p(widths, f, m);
        using Way = typename chainrule::Passes<T>::Way;
        std::vector<T> first, g;
        double first_alone = 0, alone = 0;
        const double cost = gradient_by(Way::layered, 1, p, first, first_alone);
        for (const Way way : {Way::fused, Way::layered})
          for (const int threads : {1, 2, 3, 7}) {
            const double got = gradient_by(way, threads, p, g, alone);
            CHECK(got == cost && alone == cost && first_alone == cost &&
                  std::memcmp(g.data(), first.data(), g.size() * sizeof(T)) == 0)
                << isa << " " << f << " " << widths.size() << " of " << widths[0] << ", m " << m
                << (way == Way::fused ? " fused, " : " layered, ") << threads << " threads";
          }
      }
}

const std::vector<std::vector<int>> kShapes = {
    {1, 1},
    {3, 2, 1},
    {2, 16, 16, 1},
    {8, 32, 32, 1},
    {17, 64, 64, 6},
    {5, 1, 7, 3},
    {33, 31, 129, 2},
    {70, 300, 1},
    {40, 129, 260, 5},
    {400, 1},
    {9, 8, 7, 6, 5, 4, 3, 2, 1},
};

template <class T>
void against_plain_loops(const std::string& isa) {
  for (const auto& widths : kShapes)
    for (const std::string f : {"tanh", "relu"})
      for (const int m : {1, 7, 130, 300, 4000}) {  // the last in several groups
        if (m == 4000 && widths[0] > 8) continue;
        const Problem<T> p(widths, f, m);
        std::vector<double> g_expected, expected;
        const double cost = plain(p, g_expected, expected);
        std::vector<T> g(p.net.theta.size()), out(p.Y.size());
        const double got = chainrule::gradient(p.net, p.data(), g.data());
        chainrule::predict(p.net, p.X.data(), p.m, out.data());
        double scale = 1e-30, worst = 0, off = 0;
        for (const double e : g_expected) scale = std::max(scale, std::abs(e));
        for (std::size_t i = 0; i < g.size(); ++i)
          worst = std::max(worst, std::abs(g[i] - g_expected[i]) / scale);
        for (std::size_t i = 0; i < out.size(); ++i)
          off = std::max(off, std::abs(out[i] - expected[i]));
        const double u = sizeof(T) == 4 ? 1e-5 : 1e-13;
        CHECK(worst < u && off < u && std::abs(got - cost) < u * cost)
            << isa << " " << f << " widths " << widths.size() << " of " << widths[0] << ", m " << m
            << ": gradient " << worst << ", output " << off;
        CHECK(chainrule::cost(p.net, p.data()) == got) << isa << " cost() is gradient()'s cost";
      }
}

// Everything that has to have the same bits, as one string.
template <class T>
std::string fingerprint(const std::vector<int>& widths, const std::string& f, int threads) {
  chainrule::set_max_threads(threads);
  Problem<T> p(widths, f, 700);
  std::vector<T> g(p.net.theta.size()), out(p.Y.size());
  double cost = chainrule::gradient(p.net, p.data(), g.data());
  chainrule::predict(p.net, p.X.data(), p.m, out.data());
  chainrule::Trainer<T> trainer(p.net, chainrule::sgd(0.05, 0.9));
  const chainrule::Report report = trainer.fit(p.data(), p.data(), {2, 300, true, 3, 0}, {});
  std::string bytes(reinterpret_cast<const char*>(&cost), sizeof(cost));
  const auto add = [&](const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
  };
  add(g.data(), g.size() * sizeof(T));
  add(out.data(), out.size() * sizeof(T));
  add(p.net.theta.data(), p.net.theta.size() * sizeof(T));
  add(report.cost.data(), report.cost.size() * sizeof(double));
  add(report.val_cost.data(), report.val_cost.size() * sizeof(double));
  chainrule::set_max_threads(0);
  return bytes;
}

template <class T>
void same_bits() {
  const std::vector<std::vector<int>> shapes = {
      {8, 32, 32, 1}, {17, 64, 64, 6}, {33, 31, 129, 2}, {40, 300, 260, 5}};
  std::map<std::string, std::string> fused;  // with FMA: one answer for all
  for_each_isa([&](const std::string& isa) {
    for (const auto& widths : shapes)
      for (const std::string f :
           {"relu", "tanh", "identity", "leaky_relu", "sigmoid", "softplus", "gelu", "silu"}) {
        if (widths[0] != 17 && f != "relu" && f != "tanh") continue;
        const std::string one = fingerprint<T>(widths, f, 1);
        for (const int threads : {2, 3, 7})
          CHECK(fingerprint<T>(widths, f, threads) == one) << isa << " " << f << " " << threads;
        if (!fuses(isa)) continue;
        const auto [known, first] = fused.try_emplace(f + std::to_string(widths[1]), one);
        CHECK(known->second == one) << isa << " " << f << " differs from another instruction set";
      }
  });
}

template <class T>
void any_split(const std::string& isa) {
  for (const auto& widths : kShapes) {
    const Problem<T> p(widths, "gelu", 150);
    std::vector<T> whole(p.Y.size()), parts(p.Y.size());
    chainrule::predict(p.net, p.X.data(), p.m, whole.data());
    for (const int step : {1, 7, 31, 32, 149}) {
      for (std::ptrdiff_t i = 0; i < p.m; i += step) {
        const std::ptrdiff_t rows = std::min<std::ptrdiff_t>(step, p.m - i);
        chainrule::predict(p.net, p.X.data() + i * widths.front(), rows,
                           parts.data() + i * widths.back());
      }
      CHECK(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(T)) == 0)
          << isa << " predictions by " << step << " rows";
    }
  }
}

// A network that threads share by units for few rows, and by rows for many.
template <class T>
void predictions_of_wide_networks(const std::string& isa) {
  const Problem<T> p({300, 700, 600, 3}, "tanh", 1100);
  std::vector<T> alone(p.Y.size()), shared(p.Y.size());
  chainrule::set_max_threads(1);
  chainrule::predict(p.net, p.X.data(), p.m, alone.data());
  for (const int threads : {1, 2, 3})
    for (const std::ptrdiff_t rows : {1, 3, 33, 300, 1100}) {
      chainrule::set_max_threads(threads);
      chainrule::predict(p.net, p.X.data(), rows, shared.data());
      CHECK(std::memcmp(alone.data(), shared.data(), rows * 3 * sizeof(T)) == 0)
          << isa << " " << rows << " rows, " << threads << " threads";
    }
  chainrule::set_max_threads(1);
}

// The constant in front of the squared error scales cost and gradient, by powers of two exactly.
template <class T>
void reductions(const std::string& isa) {
  using chainrule::Reduction;
  using Way = typename chainrule::Passes<T>::Way;
  const Problem<T> p({5, 9, 4}, "tanh", 256);
  for (const Way way : {Way::fused, Way::layered}) {
    chainrule::Passes<T> passes(p.net, p.m, 1, true, way);
    const auto gradient = [&](Reduction reduction, double& cost) {
      Data<T> data = p.data();
      chainrule::Objective<T> objective;
      objective.reduction = reduction;
      data.objective = &objective;
      std::vector<T> g(static_cast<std::size_t>(p.net.theta.size()));
      chainrule::parallel(1, [&](const chainrule::Team& team) {
        cost = passes
                   .backpropagate(
                       team, data.as_batch(),
                       [&](std::ptrdiff_t at, const T* part, std::ptrdiff_t n) {
                         std::copy_n(part, n, g.begin() + at);
                       },
                       [] { return false; })
                   .cost;
        CHECK(passes.cost(team, data.as_batch()) == cost) << isa;
      });
      return g;
    };
    double mean = 0, half = 0, sum = 0;
    const std::vector<T> g = gradient(Reduction::mean, mean);
    const std::vector<T> g_half = gradient(Reduction::half_mean, half);
    const std::vector<T> g_sum = gradient(Reduction::sum, sum);
    CHECK(mean == 2 * half && sum == 1024 * mean) << isa << " costs of the reductions";
    bool right = true;
    for (std::size_t i = 0; i < g.size(); ++i)
      right = right && g[i] == 2 * g_half[i] && g_sum[i] == 1024 * g[i];
    CHECK(right) << isa << " gradients of the reductions";
  }
}

// Every loss, with weights: by either way, with any number of threads, the same bits.
template <class T>
void losses(const std::string& isa) {
  using Way = typename chainrule::Passes<T>::Way;
  for (int k = 0; k < static_cast<int>(chainrule::Loss::count); ++k)
    for (const int n_L : {2, 6}) {
      Problem<T> p({5, 9, n_L}, "tanh", 300);
      chainrule::Objective<T> objective;
      objective.loss = static_cast<chainrule::Loss>(k);
      objective.parameters.assign(static_cast<std::size_t>(n_L) + 64, T(0.25));
      std::vector<T> weight;
      for (int i = 0; i < 300; ++i) weight.push_back(static_cast<T>(i % 4) / 2);
      Data<T> data = p.data();
      data.weight = weight.data();
      data.objective = &objective;
      std::vector<T> first;
      double first_cost = 0;
      bool same = true;
      for (const Way way : {Way::fused, Way::layered})
        for (const int threads : {1, 3}) {
          chainrule::set_max_threads(threads);
          chainrule::Passes<T> passes(p.net, p.m, threads, true, way);
          std::vector<T> g(static_cast<std::size_t>(p.net.theta.size()));
          double cost = 0, alone = 0;
          chainrule::parallel(threads, [&](const chainrule::Team& team) {
            cost = passes
                       .backpropagate(
                           team, data.as_batch(),
                           [&](std::ptrdiff_t at, const T* part, std::ptrdiff_t n) {
                             std::copy_n(part, n, g.begin() + at);
                           },
                           [] { return false; })
                       .cost;
            alone = passes.cost(team, data.as_batch());
          });
          if (first.empty()) {
            first = g;
            first_cost = cost;
          }
          same = same && g == first && cost == first_cost && alone == cost;
        }
      CHECK(same && std::isfinite(first_cost)) << isa << " loss " << k << ", " << n_L;
      // A weight of 2 is the row twice, one of 0 is no row.
      Data<T> twice{nullptr, nullptr, 0, nullptr, &objective};
      std::vector<T> X, Y;
      const int n_Y = objective.targets(n_L);
      for (int i = 0; i < 300; ++i)
        for (int copy = 0; copy < i % 4; ++copy) {
          X.insert(X.end(), p.X.begin() + i * 5, p.X.begin() + (i + 1) * 5);
          Y.insert(Y.end(), p.Y.begin() + i * n_Y, p.Y.begin() + (i + 1) * n_Y);
        }
      twice.X = X.data();
      twice.Y = Y.data();
      twice.m = static_cast<std::ptrdiff_t>(X.size()) / 5;
      const double repeated = chainrule::cost(p.net, twice);
      CHECK(std::abs(repeated - first_cost) <= 1e-5 * std::abs(first_cost))
          << isa << " loss " << k << ": " << repeated << " and weighted " << first_cost;
    }
  chainrule::set_max_threads(1);
}

}  // namespace

int main() {
  for_each_isa([](const std::string& isa) {
    losses<float>(isa);
    losses<double>(isa);
    against_plain_loops<float>(isa);
    against_plain_loops<double>(isa);
    any_split<float>(isa);
    any_split<double>(isa);
    naive_sums<float>(isa);
    naive_sums<double>(isa);
    same_by_either_way<float>(isa);
    same_by_either_way<double>(isa);
    predictions_of_wide_networks<float>(isa);
    predictions_of_wide_networks<double>(isa);
    reductions<float>(isa);
    reductions<double>(isa);
  });
  same_bits<float>();
  same_bits<double>();
  const std::string unknown =
      message_of<std::invalid_argument>([] { chainrule::activation_named("Relu"); });
  CHECK(unknown.find("leaky_relu") != std::string::npos) << unknown;
  return report("network");
}
