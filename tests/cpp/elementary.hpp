// What the elementary functions are held against: the C library in the next wider type, whose error
// does not show here. Used for a sample (test_elementary.cpp) and for all numbers (exhaustive.cpp).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "layout.hpp"

using chainrule::Function;

template <class T>
struct Wider;
template <>
struct Wider<float> {
  using type = double;
  using bits = std::int32_t;
};
template <>
struct Wider<double> {
  using type = long double;
  using bits = std::int64_t;
};
template <class T>
using Wide = typename Wider<T>::type;
template <class T>
using Bits = typename Wider<T>::bits;

template <class W>
W exact(Function f, W x) {
  switch (f) {
    case Function::exp:
      return std::exp(x);
    case Function::expm1:
      return std::expm1(x);
    case Function::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Function::tanh:
      return std::tanh(x);
    case Function::erf:
      return std::erf(x);
    default:
      return x;
  }
}

inline const char* name_of(Function f) {
  static const char* const names[] = {
#define CHAINRULE_ROW(name) #name,
      CHAINRULE_FUNCTIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
  };
  return names[static_cast<int>(f)];
}

// All numbers in order, from -infinity to infinity: -0 and 0 are the places -1 and 0.
template <class T>
T number_at(Bits<T> place) {
  const Bits<T> bits = place >= 0 ? place : std::numeric_limits<Bits<T>>::min() - (place + 1);
  T x;
  std::memcpy(&x, &bits, sizeof(T));
  return x;
}

template <class T>
Bits<T> place_of(T x) {
  Bits<T> bits;
  std::memcpy(&bits, &x, sizeof(T));
  return bits >= 0 ? bits : std::numeric_limits<Bits<T>>::min() - bits - 1;
}

// Error in units in the last place of the exact value; 0 for the number nearest to it. A finite
// result beyond the largest number is measured with the units that would go on there.
template <class T>
double ulps(T got, Wide<T> exact) {
  using Limits = std::numeric_limits<T>;
  if (got == static_cast<T>(exact)) return 0;
  if (!std::isfinite(got) || std::isinf(exact)) return Limits::infinity();
  int exponent = 0;
  std::frexp(exact, &exponent);
  const int unit = std::max(exponent, Limits::min_exponent) - Limits::digits;
  return static_cast<double>(std::ldexp(std::fabs(got - exact), -unit));
}

template <class T>
struct Worst {
  double error = 0;  // in ulp
  T at = 0;
  long down = 0;  // neighbours whose values fall
  T down_at = 0;
  void take(const Worst& other) {
    if (!(other.error <= error)) error = other.error, at = other.at;
    if (down == 0) down_at = other.down_at;
    down += other.down;
  }
};

// n numbers in rising order and their values, from each table the same or its own.
template <class T>
Worst<T> judge(const T* x, const T* y, const Wide<T>* right, std::ptrdiff_t n) {
  Worst<T> worst;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double error = ulps(y[i], right[i]);
    if (!(error <= worst.error)) worst.error = error, worst.at = x[i];
    if (i > 0 && !(y[i - 1] <= y[i])) {
      if (worst.down == 0) worst.down_at = x[i];
      ++worst.down;
    }
  }
  return worst;
}

template <class T>
struct Table {
  std::string isa;
  const chainrule::Kernels<T>* kernels;
};

template <class T>
std::vector<Table<T>> all_tables() {
  std::vector<Table<T>> tables;
  for (const std::string& isa : chainrule::detected_isas()) {
    chainrule::set_isa(isa);
    tables.push_back({isa, &chainrule::kernels<T>()});
  }
  return tables;
}
