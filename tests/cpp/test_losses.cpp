// Each loss's row against its definition in long double, from where it is gentle to +-1e4; rows and
// columns, and the instruction sets, against each other bit for bit.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "check.hpp"
#include "layout.hpp"
#include "objective.hpp"

using chainrule::Buffer;
using chainrule::Kernels;
using chainrule::Loss;
using chainrule::LossInput;

namespace {

using Wide = long double;

struct Right {
  Wide c;
  std::vector<Wide> slope;
};

Wide log1p_exp(Wide a) { return a > 0 ? a + std::log1p(std::exp(-a)) : std::log1p(std::exp(a)); }
Wide sigmoid(Wide a) { return 1 / (1 + std::exp(-a)); }

// One sample's share of the cost, and its slopes.
Right right(Loss loss, const std::vector<Wide>& a, const std::vector<Wide>& y, Wide p) {
  const int n = static_cast<int>(a.size());
  Right r{0, std::vector<Wide>(a.size(), 0)};
  if (loss == Loss::cross_entropy) {
    Wide most = a[0], S = 0, sum = 0;
    for (const Wide x : a) most = std::max(most, x);
    for (const Wide x : y) S += x;
    int top = 0;
    for (int j = n - 1; j >= 0; --j)
      if (a[j] == most) top = j;
    for (int j = 0; j < n; ++j)
      if (j != top) sum += std::exp(a[j] - most);
    for (int j = 0; j < n; ++j) {
      r.c += y[j] * (most - a[j] + std::log1p(sum));
      r.slope[j] = j == top ? (S - y[j]) - S * sum / (1 + sum)
                            : S * std::exp(a[j] - most) / (1 + sum) - y[j];
    }
    return r;
  }
  if (loss == Loss::gaussian_nll) {
    for (int j = 0; j < n / 2; ++j) {
      const Wide s = a[n / 2 + j], e = a[j] - y[j], log_v = p + log1p_exp(s - p);
      r.c += (log_v + e * e * std::exp(-log_v)) / 2;
      r.slope[j] = e * std::exp(-log_v);
      r.slope[n / 2 + j] = (1 - e * e * std::exp(-log_v)) / 2 * sigmoid(s - p);
    }
    return r;
  }
  for (int j = 0; j < n; ++j) {
    const Wide e = a[j] - y[j], sign = e > 0 ? 1 : e < 0 ? -1 : 0;
    switch (loss) {
      case Loss::mse:
        r.c += e * e;
        r.slope[j] = 2 * e;
        break;
      case Loss::mae:
        r.c += std::abs(e);
        r.slope[j] = sign;
        break;
      case Loss::huber:
        r.c += std::abs(e) <= p ? e * e / 2 : p * (std::abs(e) - p / 2);
        r.slope[j] = std::abs(e) <= p ? e : sign * p;
        break;
      case Loss::log_cosh:
        r.c += std::abs(e) < 1
                   ? std::log1p(2 * std::pow(std::sinh(e / 2), 2))
                   : std::abs(e) + std::log1p(std::exp(-2 * std::abs(e))) - std::log(2.0L);
        r.slope[j] = std::tanh(e);
        break;
      case Loss::quantile:
        r.c += std::max(-p * e, (1 - p) * e);
        r.slope[j] = e < 0 ? -p : e > 0 ? 1 - p : 0;
        break;
      case Loss::poisson:
        r.c += std::exp(a[j]) - y[j] * a[j];
        r.slope[j] = std::exp(a[j]) - y[j];
        break;
      case Loss::binary_cross_entropy:
        r.c += y[j] * log1p_exp(-a[j]) + (1 - y[j]) * log1p_exp(a[j]);
        r.slope[j] = (1 - y[j]) * sigmoid(a[j]) - y[j] * sigmoid(-a[j]);
        break;
      default:
        r.slope[j] = y[j];
    }
  }
  return r;
}

template <class T>
struct Case {
  Loss loss;
  int outputs, samples;
  bool weighted;
  std::vector<T> a, y, weight;
  T p;
};

// Values from tiny to 1e4 of either sign; for Y what the loss takes.
template <class T>
Case<T> a_case(Loss loss, int outputs, int samples, bool weighted, unsigned seed) {
  Case<T> c{loss, outputs, samples, weighted, {}, {}, {}, T(0.25)};
  const auto next = [&seed] { return (seed = seed * 1664525u + 1013904223u) >> 8; };
  const T sizes[] = {T(0), T(1e-6), T(0.01), T(0.5), T(0.999), T(1.5), T(8), T(40), T(1e4)};
  const bool exponential = loss == Loss::poisson;
  for (int i = 0; i < outputs * samples; ++i) {
    const T size = sizes[next() % (exponential ? 7 : 9)] * static_cast<T>(1 + next() % 7);
    c.a.push_back(next() % 2 ? size : exponential ? T(-50) * size : -size);
    T y = static_cast<T>(static_cast<int>(next() % 2001) - 1000) / 100;
    if (loss == Loss::binary_cross_entropy) y = static_cast<T>(next() % 3) / 2;
    if (loss == Loss::cross_entropy) y = next() % 3 == 0 ? T(1) : T(0);
    if (exponential) y = static_cast<T>(next() % 9);
    c.y.push_back(y);
  }
  if (loss == Loss::gaussian_nll) c.p = T(-6);
  for (int i = 0; i < samples; ++i) c.weight.push_back(static_cast<T>(next() % 5) / 2);
  return c;
}

// The case by one of the kernels: costs of the samples, then slopes, sample by sample.
template <class T>
void run(const Kernels<T>& table, const Case<T>& c, bool columns, std::vector<double>& cost,
         std::vector<T>& slope) {
  const int n = c.outputs, m = c.samples;
  const std::ptrdiff_t ld = chainrule::padded<T>(columns ? m : n + 1);
  const std::ptrdiff_t size = ld * (columns ? n : m);
  Buffer<T> a(size), y(size), delta(size);
  const auto at = [&](int i, int j) { return columns ? j * ld + i : i * ld + j; };
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      a[at(i, j)] = c.a[static_cast<std::size_t>(i * n + j)];
      y[at(i, j)] = c.y[static_cast<std::size_t>(i * n + j)];
    }
  std::vector<T> parameters(static_cast<std::size_t>(n) + 64, c.p);
  const LossInput<T> in{
      c.loss, parameters.data(), a.data(), y.data(), ld, c.weighted ? c.weight.data() : nullptr,
      T(0.25)};
  cost.assign(static_cast<std::size_t>(m) + 1, -7);
  std::vector<double> alone = cost;
  const auto kernel = columns ? table.loss_columns : table.loss;
  kernel(columns ? n : m, columns ? m : n, in, delta.data(), cost.data());
  kernel(columns ? n : m, columns ? m : n, in, nullptr, alone.data());
  CHECK(cost == alone || std::isnan(cost[0])) << "without slopes the same cost";
  CHECK(cost[static_cast<std::size_t>(m)] == -7) << "one cost for each sample";
  slope.clear();
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) slope.push_back(delta[at(i, j)]);
}

template <class T>
using Results =
    std::map<std::tuple<int, int, int, bool>, std::pair<std::vector<double>, std::vector<T>>>;

template <class T>
void rows_and_columns(const std::string& isa, Results<T>& results) {
  const Kernels<T>& table = chainrule::kernels<T>();
  const auto eps = static_cast<Wide>(std::numeric_limits<T>::epsilon());
  for (int k = 0; k < static_cast<int>(Loss::count); ++k)
    for (const int outputs : {2, 4, 10, 34})
      for (const int samples : {1, 7, 16, 65})
        for (const bool weighted : {false, true}) {
          const auto loss = static_cast<Loss>(k);
          const Case<T> c = a_case<T>(loss, outputs, samples, weighted, 17u + k);
          std::vector<double> cost, cost_columns;
          std::vector<T> slope, slope_columns;
          run(table, c, false, cost, slope);
          run(table, c, true, cost_columns, slope_columns);
          const std::string what = isa + " loss " + std::to_string(k) + ", " +
                                   std::to_string(outputs) + " outputs, " +
                                   std::to_string(samples) + " samples";
          if (fuses(isa))
            CHECK(cost == cost_columns && slope == slope_columns) << what << ": rows and columns";
          bool near = true;
          for (int i = 0; i < samples; ++i) {
            const auto from = static_cast<std::ptrdiff_t>(i) * outputs;
            const Right r = right(loss, {c.a.begin() + from, c.a.begin() + from + outputs},
                                  {c.y.begin() + from, c.y.begin() + from + outputs}, c.p);
            const Wide w = weighted ? c.weight[static_cast<std::size_t>(i)] : T(1);
            // Poisson's share is a difference, and so is that of gaussian_nll.
            Wide size = std::abs(r.c);
            for (int j = 0; j < outputs && loss == Loss::poisson; ++j)
              size += std::abs(c.y[static_cast<std::size_t>(from + j)] *
                               c.a[static_cast<std::size_t>(from + j)]);
            if (loss == Loss::gaussian_nll) size += 6 * outputs;
            // exp(a_k - max) is as exact as that difference.
            const auto below = [&](int j) {
              const auto of = c.a.begin() + from;
              return static_cast<Wide>(*std::max_element(of, of + outputs) - of[j]);
            };
            if (loss == Loss::cross_entropy) {
              Wide nearest = 800;
              for (int j = 0; j < outputs; ++j)
                if (below(j) > 0) nearest = std::min(nearest, below(j));
              size *= 1 + nearest;
            }
            near = near && std::abs(cost[static_cast<std::size_t>(i)] - w * r.c) <=
                               8 * eps * w * size + std::numeric_limits<T>::min();
            for (int j = 0; j < outputs; ++j) {
              const Wide got = slope[static_cast<std::size_t>(from + j)];
              Wide of = std::abs(r.slope[static_cast<std::size_t>(j)]);
              if (loss == Loss::gaussian_nll) of = std::max<Wide>(of, 0.5L);
              if (loss == Loss::poisson) of += c.y[static_cast<std::size_t>(from + j)];
              if (loss == Loss::cross_entropy) {
                const Wide d = below(j), y = c.y[static_cast<std::size_t>(from + j)];
                Wide S = 0;  // what is no class alone is a difference
                for (int k = 0; k < outputs; ++k) S += c.y[static_cast<std::size_t>(from + k)];
                of += std::min(y, S - y);
                of *= 1 +
                      std::min<Wide>(d > 0 ? d : size / std::max<Wide>(std::abs(r.c), 1e-30L), 800);
              }
              if (loss == Loss::binary_cross_entropy) {  // for a half it is a difference
                const Wide y = c.y[static_cast<std::size_t>(from + j)];
                of += std::min(y, 1 - y);
              }
              near = near && std::abs(got - w * r.slope[static_cast<std::size_t>(j)] / 4) <=
                                 (loss == Loss::gaussian_nll ? 40 : 12) * eps * w * of +
                                     std::numeric_limits<T>::min();
            }
          }
          CHECK(near) << what << ": far from the definition";
          if (!fuses(isa)) continue;
          const auto here = std::make_tuple(k, outputs, samples, weighted);
          const auto known = results.find(here);
          if (known == results.end())
            results[here] = {cost, slope};
          else
            CHECK(known->second.first == cost && known->second.second == slope)
                << what << ": other bits than another instruction set's";
        }
}

template <class T>
void objectives() {
  using Objective = chainrule::Objective<T>;
  CHECK(Objective("mse", {}, "mean", 3).divisor(7, 3) == 21);
  CHECK(Objective("mse", {}, "half_mean", 3).divisor(7, 3) == 42);
  CHECK(Objective("mae", {}, "sum", 3).divisor(7, 3) == 1);
  CHECK(Objective("cross_entropy", {}, "mean", 3).divisor(7, 3) == 7);
  CHECK(Objective("gaussian_nll", {1e-6}, "mean", 4).divisor(7, 4) == 14);
  CHECK(Objective("gaussian_nll", {0}, "mean", 4).targets(4) == 2);
  CHECK(Objective("mse", {}, "mean", 3).divisor(0, 3) == 1) << "no weight at all";
  for (const auto& [loss, numbers] : std::map<std::string, std::vector<double>>{
           {"mse", {1}}, {"huber", {}}, {"quantile", {0.1, 0.9}}, {"nonsense", {}}})
    CHECK(!message_of<std::invalid_argument>([&loss = loss, &numbers = numbers] {
             Objective(loss, numbers, "mean", 3);
           }).empty())
        << loss;
  CHECK(!message_of<std::invalid_argument>([] {
           Objective("gaussian_nll", {0}, "mean", 3);
         }).empty());
}

}  // namespace

int main() {
  Results<float> floats;
  Results<double> doubles;
  for_each_isa([&](const std::string& isa) {
    rows_and_columns<float>(isa, floats);
    rows_and_columns<double>(isa, doubles);
  });
  objectives<float>();
  objectives<double>();
  return report("losses");
}
