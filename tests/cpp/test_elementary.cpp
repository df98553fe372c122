// The elementary functions on a sample of all exponents, for every instruction set: errors against
// the C library in the next wider type, order, special values, and the same bits where there is a
// fused multiply-add. `make exhaustive` does the same for every float32 there is.
#include "check.hpp"
#include "elementary.hpp"

namespace {

using chainrule::Activation;
using chainrule::Buffer;

// A little above the largest errors of exhaustive.cpp: a digit lost in a coefficient shows here.
struct Bound {
  Function f;
  double f32, f64;
};
constexpr Bound kBounds[] = {{Function::exp, 1.1, 1.1},
                             {Function::expm1, 1.8, 1.9},
                             {Function::sigmoid, 2.1, 2.1},
                             {Function::tanh, 2.0, 2.0},
                             {Function::erf, 1.25, 1.25}};

constexpr std::ptrdiff_t kRun = 32;

// Runs of neighbours: some from each exponent and sign, and one around each place where a range
// reduction or a formula changes.
template <class T>
std::vector<T> sample(int runs_per_exponent) {
  using Limits = std::numeric_limits<T>;
  std::vector<Bits<T>> at;
  Random random(11);
  const int mantissa = Limits::digits - 1;
  const Bits<T> end = place_of(Limits::infinity());
  for (Bits<T> exponent = 0; exponent < end >> mantissa; ++exponent) {
    // beyond these the functions are x, 1 + x or constant
    const Bits<T> bias = Limits::max_exponent - 1;
    const bool flat = exponent < bias - 60 || exponent > bias + 11;
    for (int i = 0; i < (flat ? 2 : runs_per_exponent); ++i) {
      const double part = random.real() / 2 + 0.5;
      const Bits<T> place =
          (exponent << mantissa) + static_cast<Bits<T>>(std::ldexp(part, mantissa)) - kRun / 2;
      at.push_back(std::max<Bits<T>>(place, 0));
      at.push_back(-1 - place - kRun);
    }
  }
  for (int i = -4400; i <= 4400; ++i)
    for (const double unit : {0.17328679513998633, 0.125})
      at.push_back(place_of(static_cast<T>(i * unit)) - kRun / 2);
  at.push_back(-end - 1);
  at.push_back(end + 1 - static_cast<Bits<T>>(kRun));
  std::vector<T> x;
  for (const Bits<T> first : at)
    for (std::ptrdiff_t i = 0; i < kRun; ++i)
      x.push_back(number_at<T>(first + static_cast<Bits<T>>(i)));
  return x;
}

template <class T>
void errors_and_order(const Bound& bound, const std::vector<T>& sample) {
  const auto n = static_cast<std::ptrdiff_t>(sample.size());
  const double allowed = sizeof(T) == 4 ? bound.f32 : bound.f64;
  Buffer<T> x(n), y(n), fused(n);
  std::copy(sample.begin(), sample.end(), x.data());
  std::vector<Wide<T>> right(sample.size());
  for (std::ptrdiff_t i = 0; i < n; ++i) right[i] = exact<Wide<T>>(bound.f, x[i]);
  std::string first_fused;
  for (const Table<T>& table : all_tables<T>()) {
    table.kernels->evaluate(bound.f, y.data(), x.data(), n);
    Worst<T> worst;
    for (std::ptrdiff_t i = 0; i < n; i += kRun)
      worst.take(judge<T>(x.data() + i, y.data() + i, right.data() + i, kRun));
    std::ostringstream who;
    who << table.isa << " " << name_of(bound.f) << " " << sizeof(T) * 8 << " bit ";
    CHECK(worst.error <= allowed) << who.str() << worst.error << " ulp at " << worst.at;
    if (table.isa == "baseline") continue;  // has no fused multiply-add
    CHECK(worst.down == 0) << who.str() << "falls at " << worst.down_at;
    if (first_fused.empty()) {
      first_fused = table.isa;
      std::copy(y.data(), y.data() + n, fused.data());
    } else {
      CHECK(std::memcmp(y.data(), fused.data(), n * sizeof(T)) == 0)
          << who.str() << "has other bits than " << first_fused;
    }
  }
}

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

template <class T>
void special_values() {
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN(), tiny = Limits::denorm_min();
  const T small = Limits::min(), huge = Limits::max();
  struct {
    Function f;
    T x, y;
  } const rows[] = {
      {Function::exp, 0, 1},
      {Function::exp, -T(0), 1},
      {Function::exp, tiny, 1},
      {Function::exp, inf, inf},
      {Function::exp, huge, inf},
      {Function::exp, -inf, 0},
      {Function::exp, -huge, 0},
      {Function::expm1, 0, 0},
      {Function::expm1, -T(0), -T(0)},
      {Function::expm1, tiny, tiny},
      {Function::expm1, -tiny, -tiny},
      {Function::expm1, small, small},
      {Function::expm1, inf, inf},
      {Function::expm1, huge, inf},
      {Function::expm1, -inf, -1},
      {Function::sigmoid, 0, T(0.5)},
      {Function::sigmoid, -T(0), T(0.5)},
      {Function::sigmoid, tiny, T(0.5)},
      {Function::sigmoid, inf, 1},
      {Function::sigmoid, huge, 1},
      {Function::sigmoid, -inf, 0},
      {Function::sigmoid, -huge, 0},
      {Function::tanh, 0, 0},
      {Function::tanh, -T(0), -T(0)},
      {Function::tanh, tiny, tiny},
      {Function::tanh, -tiny, -tiny},
      {Function::tanh, -small, -small},
      {Function::tanh, inf, 1},
      {Function::tanh, huge, 1},
      {Function::tanh, -inf, -1},
      {Function::erf, 0, 0},
      {Function::erf, -T(0), -T(0)},
      {Function::erf, tiny, tiny},
      {Function::erf, -tiny, -tiny},
      {Function::erf, 1000 * tiny, 1128 * tiny},
      {Function::erf, -1000 * tiny, -1128 * tiny},
      {Function::erf, inf, 1},
      {Function::erf, huge, 1},
      {Function::erf, -inf, -1},
  };
  Buffer<T> x(1), y(1);
  for (const Table<T>& table : all_tables<T>()) {
    for (const auto& row : rows) {
      x[0] = row.x;
      table.kernels->evaluate(row.f, y.data(), x.data(), 1);
      CHECK(same_bits(y[0], row.y))
          << table.isa << " " << name_of(row.f) << "(" << row.x << ") gives " << y[0];
    }
    for (const Bound& bound : kBounds)
      for (const T sign : {T(1), T(-1)}) {
        x[0] = std::copysign(nan, sign);
        table.kernels->evaluate(bound.f, y.data(), x.data(), 1);
        CHECK(std::isnan(y[0])) << table.isa << " " << name_of(bound.f) << "(NaN) gives " << y[0];
      }
  }
}

// An activation and the function of its name are one thing.
template <class T>
void activations_are_the_functions(const std::vector<T>& sample) {
  const auto n = static_cast<std::ptrdiff_t>(sample.size());
  Buffer<T> x(n), y(n), a(n);
  std::copy(sample.begin(), sample.end(), x.data());
  for (const Table<T>& table : all_tables<T>())
    for (const bool is_tanh : {false, true}) {
      table.kernels->evaluate(is_tanh ? Function::tanh : Function::sigmoid, y.data(), x.data(), n);
      table.kernels->activate(is_tanh ? Activation::tanh : Activation::sigmoid, a.data(), x.data(),
                              n);
      CHECK(std::memcmp(y.data(), a.data(), n * sizeof(T)) == 0) << table.isa << " " << is_tanh;
    }
}

// z g(z) with g(z) = 0 is 0 at infinity also, not NaN.
template <class T>
void products_at_infinity() {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  Buffer<T> z(4), a(4), df(4);
  for (const Table<T>& table : all_tables<T>())
    for (const Activation f : {Activation::gelu, Activation::silu}) {
      z[0] = -inf, z[1] = inf, z[2] = nan, z[3] = std::numeric_limits<T>::lowest();
      table.kernels->activate(f, a.data(), z.data(), 4);
      std::fill_n(df.data(), 4, T(1));
      table.kernels->derive(f, df.data(), z.data(), a.data(), 4);
      CHECK(a[0] == 0 && a[1] == inf && std::isnan(a[2]) && a[3] == 0) << table.isa;
      CHECK(df[0] == 0 && df[1] == 1 && std::isnan(df[2]) && df[3] == 0) << table.isa;
    }
}

template <class T>
void all(int runs_per_exponent) {
  const std::vector<T> x = sample<T>(runs_per_exponent);
  for (const Bound& bound : kBounds) errors_and_order<T>(bound, x);
  special_values<T>();
  activations_are_the_functions<T>(x);
  products_at_infinity<T>();
}

}  // namespace

int main() {
  static_assert(sizeof(kBounds) / sizeof(*kBounds) == static_cast<int>(Function::count),
                "every function has its bound");
  for_each_isa([](const std::string&) {});
  all<float>(400);
  all<double>(100);
  return report("elementary");
}
