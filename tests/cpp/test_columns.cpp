// The products with samples as columns, for every instruction set and both types: bit for bit naive
// chains of std::fma, at sizes around every tile edge, writing what they should and nothing else.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "layout.hpp"

namespace {

using chainrule::Activation;
using chainrule::Buffer;
using chainrule::Kernels;

constexpr double kCanary = 12345.5;

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class T>
T multiply_add(bool fused, T a, T b, T c) {
  return fused ? std::fma(a, b, c) : a * b + c;
}

template <class T>
std::vector<T> draw(std::ptrdiff_t size, Random& random) {
  std::vector<T> values(static_cast<std::size_t>(size));
  for (T& v : values) v = static_cast<T>(random.real());
  return values;
}

// (units x samples) with rows of ld elements, as the passes hold it.
template <class T>
struct Columns {
  int units, samples;
  std::ptrdiff_t ld;
  Buffer<T> p;

  Columns(int u, int s, std::ptrdiff_t row, Random& random)
      : units(u), samples(s), ld(row), p(u * row) {
    for (std::ptrdiff_t i = 0; i < p.size(); ++i) p[i] = static_cast<T>(random.real());
  }
  T at(int k, int i) const { return p.data()[k * ld + i]; }
};

template <class T>
void one_layer(const std::string& isa, const Kernels<T>& table, int n_in, int n_out, int samples,
               Random& random) {
  const bool fused = fuses(isa);
  const std::ptrdiff_t line = chainrule::kPad / static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t ld = (samples + line - 1) / line * line + line;
  const std::vector<T> W = draw<T>((n_in + 1) * n_out, random);  // exact: nothing behind it
  Columns<T> x(n_in + 1, samples, ld, random), z(n_out, samples, ld, random),
      a(n_out, samples, ld, random), delta(n_out, samples, ld, random),
      below(n_in, samples, ld, random);
  const auto at = [&] {
    return isa + " " + std::to_string(n_in) + " -> " + std::to_string(n_out) + ", " +
           std::to_string(samples) + " samples, " + std::to_string(sizeof(T) * 8) + " bit";
  };

  table.forward_columns(n_out, n_in, samples, W.data(), x.p.data(), ld, Activation::relu,
                        z.p.data(), a.p.data(), ld);
  bool right = true;
  for (int j = 0; j < n_out; ++j)
    for (int i = 0; i < samples; ++i) {
      T sum = W[n_in * n_out + j];
      for (int k = 0; k < n_in; ++k) sum = multiply_add(fused, W[k * n_out + j], x.at(k, i), sum);
      right = right && same_bits(z.at(j, i), sum) && a.at(j, i) == std::max(sum, T(0));
    }
  CHECK(right) << "forward " << at();

  // (BP2), the slot that both ways share: W on the left.
  table.backward(n_in, n_out, samples, W.data(), n_out, {delta.p.data(), ld, table.panel},
                 Activation::relu, nullptr, x.p.data(), below.p.data(), ld);
  right = true;
  for (int k = 0; k < n_in; ++k)
    for (int i = 0; i < samples; ++i) {
      T sum = 0;
      for (int j = 0; j < n_out; ++j)
        sum = multiply_add(fused, W[k * n_out + j], delta.at(j, i), sum);
      right = right && below.at(k, i) == (x.at(k, i) > 0 ? sum : T(0));
    }
  CHECK(right) << "backward " << at();

  // (BP4) for all inputs, and for some of them in the middle.
  for (const int first : {0, n_in / 3}) {
    const int inputs = first == 0 ? n_in + 1 : n_in + 1 - first - n_in / 4;
    if (inputs < 1) continue;
    const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(inputs) * n_out;
    std::vector<T> dW(static_cast<std::size_t>(size + 80), T(kCanary));
    Buffer<T> scratch(table.gradient_scratch(inputs, n_out, samples));
    table.gradient_columns(inputs, n_out, samples, x.p.data() + first * ld, delta.p.data(), ld,
                           dW.data() + 40, scratch.data());
    right = true;
    for (int k = 0; k < inputs; ++k)
      for (int j = 0; j < n_out; ++j) {
        T sum = 0;
        for (int i = 0; i < samples; ++i)
          sum = multiply_add(fused, x.at(first + k, i), delta.at(j, i), sum);
        right = right && same_bits(dW[40 + k * n_out + j], sum);
      }
    CHECK(right) << "gradient of " << inputs << " inputs " << at();
    const auto untouched = [](T v) { return v == T(kCanary); };
    CHECK(std::all_of(dW.begin(), dW.begin() + 40, untouched) &&
          std::all_of(dW.end() - 40, dW.end(), untouched))
        << "around the gradient of " << inputs << " inputs " << at();
  }
}

template <class T>
void rows_to_columns_and_back(const std::string& isa, const Kernels<T>& table) {
  Random random(9);
  for (const int n : {1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 33, 100})
    for (const int samples : {1, 2, 7, 16, 31, 33})
      for (const bool ordered : {false, true}) {
        const int rows = samples + 3;
        const std::vector<T> X = draw<T>(rows * n, random);  // exact: nothing behind it
        std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
        for (int i = 0; i < samples; ++i) order[i] = ordered ? rows - 1 - i : i;
        const std::ptrdiff_t ld = 48;
        Buffer<T> columns(n * ld);
        table.gather(columns.data(), ld, X.data(), X.data() + X.size(),
                     ordered ? order.data() : nullptr, n, samples);
        bool right = true;
        for (int i = 0; i < samples; ++i)
          for (int k = 0; k < n; ++k) right = right && columns[k * ld + i] == X[order[i] * n + k];
        CHECK(right) << isa << " gather " << n << " of " << samples << " rows";
        std::vector<T> back(static_cast<std::size_t>(samples * n));
        table.scatter(back.data(), columns.data(), ld, n, samples);
        for (int i = 0; i < samples; ++i)
          right = right && std::equal(back.begin() + i * n, back.begin() + (i + 1) * n,
                                      X.begin() + order[i] * n);
        CHECK(right) << isa << " scatter " << n << " of " << samples << " rows";
      }
}

template <class T>
void all(const std::string& isa) {
  const Kernels<T>& table = chainrule::kernels<T>();
  Random random(1);
  const int p = table.panel;
  for (const int n_out : {1, 2, 3, p / 4 + 1, p / 2, p / 2 + 1, p - 1, p, p + 1, 2 * p + p / 2 + 1})
    for (const int n_in : {1, 2, 5, 13, 14, 15, 27, 43})
      for (const int samples : {1, p / 2, p, p + 1, 3 * p - 1})
        one_layer(isa, table, n_in, n_out, samples, random);
  one_layer(isa, table, 400, 5, 128, random);  // sums longer than a depth block
  one_layer(isa, table, 5, 400, 128, random);
  one_layer(isa, table, 400, 1030, 70, random);  // rows of W a page apart
  rows_to_columns_and_back(isa, table);
}

}  // namespace

int main() {
  for_each_isa([](const std::string& isa) {
    all<float>(isa);
    all<double>(isa);
  });
  return report("columns");
}
