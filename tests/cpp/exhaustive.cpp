// The elementary functions at every float32 there is, and at a large sample of float64, on every
// instruction set of this machine: largest error, and whether a value ever falls while x rises (it
// may without a fused multiply-add). Minutes, so it is run by hand: `make exhaustive`. With an
// argument, only that function.
#include <cinttypes>
#include <cstdio>

#include "elementary.hpp"

namespace {

using chainrule::Buffer;

constexpr double kAllowed = 2.5;
template <class T>
constexpr std::ptrdiff_t kRun = sizeof(T) == 4 ? 1 << 14 : 1 << 7;

// The numbers at `length` places from `first`, one table after the other.
template <class T>
void run(Function f, const std::vector<Table<T>>& tables, Bits<T> first, std::ptrdiff_t length,
         std::vector<Worst<T>>& worst) {
  static thread_local Buffer<T> x(kRun<T> + 1), y(kRun<T> + 1);
  static thread_local std::vector<Wide<T>> right(kRun<T> + 1);
  for (std::ptrdiff_t i = 0; i < length; ++i) {
    x[i] = number_at<T>(first + static_cast<Bits<T>>(i));
    right[i] = exact<Wide<T>>(f, x[i]);
  }
  for (std::size_t k = 0; k < tables.size(); ++k) {
    tables[k].kernels->evaluate(f, y.data(), x.data(), length);
    worst[k].take(judge<T>(x.data(), y.data(), right.data(), length));
  }
}

// Starts of runs: all of float32, each run sharing a number with the next one.
std::vector<std::int32_t> starts(float) {
  const auto end = static_cast<std::int64_t>(place_of(std::numeric_limits<float>::infinity()));
  std::vector<std::int32_t> at;
  for (std::int64_t place = -end - 1; place < end; place += kRun<float> - 1)
    at.push_back(static_cast<std::int32_t>(std::min(place, end - kRun<float> + 1)));
  return at;
}

// Of float64, 30 runs of each exponent and sign, and both sides of every multiple of ln 2 / 4, 1
// / 8.
std::vector<std::int64_t> starts(double) {
  std::vector<std::int64_t> at;
  std::uint64_t state = 1;
  for (std::int64_t exponent = 0; exponent < 2047; ++exponent)
    for (int i = 0; i < 30; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      const auto place = static_cast<std::int64_t>(state >> 12) + (exponent << 52);
      at.push_back(
          std::min(place, place_of(std::numeric_limits<double>::infinity()) - kRun<double> + 1));
      at.push_back(-1 - place);
    }
  for (int i = -4400; i <= 4400; ++i)
    for (const double unit : {0.17328679513998633, 0.125}) {
      const std::int64_t place = place_of(i * unit);
      at.push_back(place - kRun<double> / 2);
    }
  return at;
}

template <class T>
bool nan_gives_nan(Function f, const chainrule::Kernels<T>& kernels) {
  Buffer<T> x(1), y(1);
  const Bits<T> first = place_of(std::numeric_limits<T>::infinity()) + 1;
  const Bits<T> step = (std::numeric_limits<Bits<T>>::max() - first) / 9973;
  bool right = true;
  for (int i = 0; i <= 9973; ++i)
    for (const bool negative : {false, true}) {
      const Bits<T> place = first + i * step;
      x[0] = number_at<T>(negative ? -1 - place : place);
      kernels.evaluate(f, y.data(), x.data(), 1);
      right = right && std::isnan(x[0]) && std::isnan(y[0]);
    }
  return right;
}

template <class T>
bool report(Function f) {
  const std::vector<Table<T>> tables = all_tables<T>();
  const std::vector<Bits<T>> at = starts(T());
  std::vector<Worst<T>> worst(tables.size());
  const auto runs = static_cast<std::ptrdiff_t>(at.size());
#pragma omp parallel
  {
    std::vector<Worst<T>> mine(tables.size());
#pragma omp for schedule(dynamic, 16)
    for (std::ptrdiff_t i = 0; i < runs; ++i) run<T>(f, tables, at[i], kRun<T>, mine);
#pragma omp critical
    for (std::size_t k = 0; k < tables.size(); ++k) worst[k].take(mine[k]);
  }
  bool good = true;
  for (std::size_t k = 0; k < tables.size(); ++k) {
    const bool nan = nan_gives_nan<T>(f, *tables[k].kernels);
    std::printf("%-8s float%-3d %-9s %7.3f ulp at %-24.17g ", name_of(f),
                static_cast<int>(8 * sizeof(T)), tables[k].isa.c_str(), worst[k].error,
                static_cast<double>(worst[k].at));
    if (worst[k].down == 0)
      std::printf("monotone%s\n", nan ? "" : ", but NaN is lost");
    else
      std::printf("falls %ld times, first at %.17g%s\n", worst[k].down,
                  static_cast<double>(worst[k].down_at), nan ? "" : ", NaN is lost");
    good = good && nan && worst[k].error <= kAllowed;
    good = good && (worst[k].down == 0 || tables[k].isa == "baseline");
  }
  std::fflush(stdout);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  bool good = true;
  for (int i = 0; i < static_cast<int>(Function::count); ++i) {
    const auto f = static_cast<Function>(i);
    if (argc > 1 && name_of(f) != std::string(argv[1])) continue;
    good = report<double>(f) && good;
    good = report<float>(f) && good;
  }
  return good ? 0 : 1;
}
