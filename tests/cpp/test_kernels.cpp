// Every slot of the kernel table, for every instruction set and both types, at sizes around every
// tile edge. Integer-valued inputs whose sums are exact are compared with tolerance 0; random ones
// with a naive chain of std::fma, bit for bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "check.hpp"
#include "layout.hpp"

namespace {

using chainrule::Activation;
using chainrule::Buffer;
using chainrule::Kernels;
using chainrule::Right;
using chainrule::Rule;

template <class T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// One product in all three roles. W holds `depth` rows and a bias row.
template <class T>
struct Case {
  int rows, depth, cols;
  std::ptrdiff_t ld_x, ld_w, ld_out;
  Buffer<T> x, w;

  Case(int r, int d, int c, bool integers, Random& random)
      : rows(r),
        depth(d),
        cols(c),
        ld_x(d + 3),
        ld_w(c + 1),
        ld_out(chainrule::padded<T>(c)),
        x(rows * ld_x),
        w((depth + 1) * ld_w) {
    const auto draw = [&] {
      return static_cast<T>(integers ? random.integer(-8, 8) : random.real());
    };
    for (std::ptrdiff_t i = 0; i < x.size(); ++i) x[i] = draw();
    for (std::ptrdiff_t i = 0; i < w.size(); ++i) w[i] = draw();
  }

  T chain(int i, int j, bool with_bias, bool fused) const {
    T sum = with_bias ? w.data()[depth * ld_w + j] : T(0);
    for (int k = 0; k < depth; ++k) {
      const T a = x.data()[i * ld_x + k], b = w.data()[k * ld_w + j];
      sum = fused ? std::fma(a, b, sum) : a * b + sum;
    }
    return sum;
  }
};

constexpr double kCanary = 12345.5;

// Rows below the result, and whole vectors right of it, must stay as they were.
template <class T>
struct Output {
  Buffer<T> buffer;
  int rows, cols;
  std::ptrdiff_t ld;
  Output(int r, int c, std::ptrdiff_t l) : buffer((r + 2) * l), rows(r), cols(c), ld(l) {
    std::fill_n(buffer.data(), buffer.size(), static_cast<T>(kCanary));
  }
  T at(int i, int j) const { return buffer.data()[i * ld + j]; }
  bool untouched_below() const {
    return std::all_of(buffer.data() + rows * ld, buffer.data() + (rows + 2) * ld,
                       [](T v) { return v == static_cast<T>(kCanary); });
  }
};

template <class T>
void products(const std::string& isa, const Kernels<T>& table, int rows, int depth, int cols,
              bool integers, bool packed, Random& random) {
  const bool fused = fuses(isa);
  const Case<T> c(rows, depth, cols, integers, random);
  const auto at = [&] {
    std::ostringstream text;
    text << isa << " " << sizeof(T) * 8 << " bit " << rows << "x" << depth << "x" << cols
         << (packed ? " packed" : " raw") << (integers ? " integers" : "");
    return text.str();
  };

  Right<T> W{c.w.data(), c.ld_w, table.panel};
  const std::ptrdiff_t panels = (cols + table.panel - 1) / table.panel;
  Buffer<T> packs(panels * table.panel * (depth + 1));
  if (packed) {
    std::fill_n(packs.data(), packs.size(), static_cast<T>(kCanary));
    table.pack(packs.data(), (depth + 1) * table.panel, c.w.data(), c.ld_w, depth + 1, cols);
    for (int j = cols; j < panels * table.panel; ++j)
      for (int k = 0; k <= depth; ++k)
        CHECK(packs[(j / table.panel * (depth + 1) + k) * table.panel + j % table.panel] == 0)
            << at();
    W = {packs.data(), table.panel, (depth + 1) * table.panel};
  }

  Output<T> z(rows, cols, c.ld_out), a(rows, cols, c.ld_out);
  table.forward(rows, depth, cols, c.x.data(), c.ld_x, W, Activation::relu, z.buffer.data(),
                a.buffer.data(), c.ld_out);
  bool right = true;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) {
      const T expected = c.chain(i, j, true, fused);
      right = right && same_bits(z.at(i, j), expected);
      right = right && same_bits(a.at(i, j), expected > 0 ? expected : T(0));
    }
  CHECK(right) << "forward " << at();
  CHECK(z.untouched_below() && a.untouched_below()) << "forward " << at();

  Output<T> below(rows, cols, c.ld_out);
  table.backward(rows, depth, cols, c.x.data(), c.ld_x, W, Activation::relu, nullptr,
                 a.buffer.data(), below.buffer.data(), c.ld_out);
  right = true;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j)
      right = right && below.at(i, j) == (a.at(i, j) > 0 ? c.chain(i, j, false, fused) : T(0));
  CHECK(right) << "backward " << at();
  CHECK(below.untouched_below()) << "backward " << at();

  // The gradient sums over `depth` samples by blocks; here x is read transposed.
  for (const int block : {5, 128}) {
    Buffer<T> xT(depth * (rows + 2));
    for (int i = 0; i < rows; ++i)
      for (int k = 0; k < depth; ++k) xT[k * (rows + 2) + i] = c.x.data()[i * c.ld_x + k];
    Output<T> dW(rows, cols, c.ld_out);
    Buffer<T> scratch(block * (rows + table.panel));
    table.gradient(rows, depth, cols, xT.data(), rows + 2, W, block, dW.buffer.data(), c.ld_out,
                   scratch.data());
    right = true;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) {
        T total = 0;
        for (int s = 0; s < depth; s += block) {
          T sum = 0;
          for (int k = s; k < std::min(depth, s + block); ++k) {
            const T p = c.x.data()[i * c.ld_x + k], q = c.w.data()[k * c.ld_w + j];
            sum = fused ? std::fma(p, q, sum) : p * q + sum;
          }
          total = s == 0 ? sum : total + sum;
        }
        right = right && dW.at(i, j) == total;
      }
    CHECK(right) << "gradient, block " << block << " " << at();
    CHECK(dW.untouched_below()) << "gradient " << at();
  }
}

// Right operands that reach the tiles as copies: W as it lies in theta on the way back, and rows
// far apart on the way forward, with few and with many tiles for each panel.
template <class T>
void copied_operands(const std::string& isa, const Kernels<T>& table) {
  const bool fused = fuses(isa);
  Random random(11);
  for (const int rows : {1, 5, 14, 15, 29, 60, 130})
    for (const int depth : {1, 2, 17, 384, 385, 800})
      for (const int cols : {1, table.panel / 2, table.panel + 1, 5 * table.panel - 3}) {
        Case<T> c(rows, depth, cols, false, random);
        std::ostringstream at;
        at << isa << " " << sizeof(T) * 8 << " bit " << rows << "x" << depth << "x" << cols;
        Buffer<T> transposed(static_cast<std::ptrdiff_t>(cols) * depth);
        for (int j = 0; j < cols; ++j)
          for (int k = 0; k < depth; ++k) transposed[j * depth + k] = c.w[k * c.ld_w + j];
        Output<T> below(rows, cols, c.ld_out);
        table.backward(rows, depth, cols, c.x.data(), c.ld_x, {transposed.data(), depth, 0, true},
                       Activation::identity, nullptr, nullptr, below.buffer.data(), c.ld_out);

        const std::ptrdiff_t ld_far = 4096 / static_cast<std::ptrdiff_t>(sizeof(T)) + 3;
        Buffer<T> far((depth + 1) * ld_far);
        for (int k = 0; k <= depth; ++k)
          std::copy_n(c.w.data() + k * c.ld_w, cols, far.data() + k * ld_far);
        Output<T> above(rows, cols, c.ld_out);
        table.forward(rows, depth, cols, c.x.data(), c.ld_x, {far.data(), ld_far, table.panel},
                      Activation::identity, nullptr, above.buffer.data(), c.ld_out);
        bool back = true, forth = true;
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < cols; ++j) {
            back = back && same_bits(below.at(i, j), c.chain(i, j, false, fused));
            forth = forth && same_bits(above.at(i, j), c.chain(i, j, true, fused));
          }
        CHECK(back && below.untouched_below()) << "backward, transposed " << at.str();
        CHECK(forth && above.untouched_below()) << "forward, rows far apart " << at.str();
      }
}

// A NaN in row i may reach row i only; one in column j of W, column j only.
template <class T>
void nan_stays_in_its_row(const std::string& isa, const Kernels<T>& table) {
  Random random(7);
  const int rows = 29, depth = 33, cols = 2 * table.panel + 1;
  Case<T> c(rows, depth, cols, false, random);
  c.x[17 * c.ld_x + 32] = std::numeric_limits<T>::quiet_NaN();
  c.w[3 * c.ld_w + table.panel] = std::numeric_limits<T>::quiet_NaN();
  Output<T> a(rows, cols, c.ld_out);
  table.forward(rows, depth, cols, c.x.data(), c.ld_x, {c.w.data(), c.ld_w, table.panel},
                Activation::identity, nullptr, a.buffer.data(), c.ld_out);
  bool right = true;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j)
      right = right && std::isnan(a.at(i, j)) == (i == 17 || j == table.panel);
  CHECK(right) << isa << " NaN";
}

long double f_exact(Activation f, long double z) {
  switch (f) {
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::leaky_relu:
      return z > 0 ? z : 0.01L * z;
    case Activation::sigmoid:
      return 1 / (1 + expl(-z));
    case Activation::tanh:
      return tanhl(z);
    case Activation::softplus:
      return fmaxl(z, 0) + log1pl(expl(-fabsl(z)));
    case Activation::gelu:
      return z * erfcl(-z / sqrtl(2)) / 2;
    case Activation::silu:
      return z / (1 + expl(-z));
    default:
      return z;
  }
}

long double df_exact(Activation f, long double z) {
  const long double s = 1 / (1 + expl(-z)), t = tanhl(z);
  switch (f) {
    case Activation::relu:
      return z > 0 ? 1 : 0;
    case Activation::leaky_relu:
      return z > 0 ? 1 : 0.01L;
    case Activation::sigmoid:
      return s / (1 + expl(z));
    case Activation::tanh:
      return 1 - t * t;
    case Activation::softplus:
      return s;
    case Activation::gelu:
      return erfcl(-z / sqrtl(2)) / 2 + z * expl(-z * z / 2) / sqrtl(2 * acosl(-1.0L));
    case Activation::silu:
      return s * (1 + z / (1 + expl(z)));
    default:
      return 1;
  }
}

// Error of a value in units in the last place of the exact one. `least` is the smallest unit: a
// product z g(z) inherits the coarse steps of a denormal g(z), |z| times over.
template <class T>
double ulps(T got, long double exact, long double least) {
  if (std::isinf(got) && fabsl(exact) >= std::numeric_limits<T>::max()) return 0;
  const auto rounded = static_cast<T>(std::abs(static_cast<T>(exact)));
  const long double unit = std::nextafter(rounded, std::numeric_limits<T>::infinity()) -
                           static_cast<long double>(rounded);
  return static_cast<double>(fabsl(got - exact) / std::max(unit, least));
}

// name, largest error of f in ulp, of f' in multiples of the unit roundoff of 1 (f' <= 1.13; near
// saturation it comes from a = f(z), which has no more digits to give)
struct Accuracy {
  Activation f;
  double f_ulp, df_units;
};

template <class T>
void activations(const std::string& isa, const Kernels<T>& table) {
  const Accuracy rows[] = {
      {Activation::identity, 0, 0},  {Activation::relu, 0, 0},   {Activation::leaky_relu, 1, 1},
      {Activation::sigmoid, 2.5, 3}, {Activation::tanh, 2.5, 4}, {Activation::softplus, 2.5, 4},
      {Activation::gelu, 8, 8},      {Activation::silu, 3, 6},
  };
  std::vector<T> points;
  for (double z = -120; z <= 120; z += 0.0137) points.push_back(static_cast<T>(z));
  for (double z = 1e-30; z < 700; z *= 1.37) {
    points.push_back(static_cast<T>(z));
    points.push_back(static_cast<T>(-z));
  }
  const auto n = static_cast<std::ptrdiff_t>(points.size());
  Buffer<T> z(n), a(n), df(n);
  for (const Accuracy& row : rows) {
    std::copy(points.begin(), points.end(), z.data());
    table.activate(row.f, a.data(), z.data(), n);
    std::fill_n(df.data(), n, T(1));
    table.derive(row.f, df.data(), z.data(), a.data(), n);
    double worst = 0, worst_df = 0;
    T at = 0, at_df = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const bool product = row.f == Activation::gelu || row.f == Activation::silu;
      const double e = ulps(a[i], f_exact(row.f, z[i]),
                            product ? std::abs(z[i]) * std::numeric_limits<T>::denorm_min() : 0);
      const auto d = static_cast<double>(fabsl(df[i] - df_exact(row.f, z[i])) /
                                         std::numeric_limits<T>::epsilon() * 2);
      if (!(e <= worst)) worst = e, at = z[i];
      if (!(d <= worst_df)) worst_df = d, at_df = z[i];
    }
    CHECK(worst <= row.f_ulp) << isa << " f " << static_cast<int>(row.f) << " " << sizeof(T) * 8
                              << " bit: " << worst << " ulp at " << at;
    CHECK(worst_df <= row.df_units) << isa << " f' " << static_cast<int>(row.f) << " "
                                    << sizeof(T) * 8 << " bit: " << worst_df << " at " << at_df;
  }

  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const auto f = [&](Activation row, T at) {
    Buffer<T> in(1), out(1);
    in[0] = at;
    table.activate(row, out.data(), in.data(), 1);
    return out[0];
  };
  for (const Accuracy& row : rows) CHECK(std::isnan(f(row.f, nan))) << isa << " NaN";
  CHECK(f(Activation::tanh, inf) == 1 && f(Activation::tanh, -inf) == -1) << isa;
  CHECK(f(Activation::sigmoid, inf) == 1 && f(Activation::sigmoid, -inf) == 0) << isa;
  CHECK(f(Activation::softplus, inf) == inf && f(Activation::softplus, -inf) == 0) << isa;
  CHECK(f(Activation::relu, inf) == inf && f(Activation::relu, -inf) == 0) << isa;
  CHECK(std::signbit(f(Activation::tanh, -T(0))) && !std::signbit(f(Activation::relu, -T(0))))
      << isa;
  CHECK(f(Activation::sigmoid, 0) == T(0.5) && f(Activation::gelu, 0) == 0) << isa;
  const T tiny = std::numeric_limits<T>::denorm_min();
  CHECK(f(Activation::tanh, tiny) == tiny && f(Activation::tanh, -tiny) == -tiny) << isa;
}

// One step of a rule in long double, as the books have it. `s` are the states.
using Wide = long double;
void step_by_the_book(Rule rule, const chainrule::Update<double>& u, Wide& w, Wide (&s)[2],
                      Wide g) {
  const auto sign = [](Wide x) -> Wide { return x > 0 ? 1 : x < 0 ? -1 : 0; };
  g += u.l1 * sign(w) + u.l2 * w;
  g = std::clamp<Wide>(g * u.scale, -u.clip, u.clip);
  if (rule == Rule::adamw)
    w -= u.rate * u.decay * w;
  else
    g += u.decay * w;
  switch (rule) {
    case Rule::sgd:
      w -= u.rate * g;
      break;
    case Rule::momentum:
      s[0] = u.momentum * s[0] + g;
      w -= u.rate * s[0];
      break;
    case Rule::nesterov:
      s[0] = u.momentum * s[0] + g;
      w -= u.rate * (g + u.momentum * s[0]);
      break;
    case Rule::rmsprop:
      s[0] = (1 - Wide(u.smooth_gain)) * s[0] + u.smooth_gain * g * g;
      w -= u.rate * g / (std::sqrt(s[0]) + u.epsilon);
      break;
    case Rule::rmsprop_momentum:
      s[0] = (1 - Wide(u.smooth_gain)) * s[0] + u.smooth_gain * g * g;
      s[1] = u.momentum * s[1] + g / (std::sqrt(s[0]) + u.epsilon);
      w -= u.rate * s[1];
      break;
    case Rule::adam:
    case Rule::adamw:
      s[0] = (1 - Wide(u.gain)) * s[0] + u.gain * g;
      s[1] = (1 - Wide(u.smooth_gain)) * s[1] + u.smooth_gain * g * g;
      w -= u.rate * (s[0] * u.correct) / (std::sqrt(s[1]) * u.smooth_correct + u.epsilon);
      break;
    case Rule::rprop: {
      const Wide same = sign(g) * sign(s[0]);
      s[1] = std::clamp<Wide>(s[1] * (same > 0   ? u.grow
                                      : same < 0 ? u.shrink
                                                 : 1),
                              u.least, u.most);
      s[0] = same < 0 ? 0 : g;
      w -= sign(s[0]) * s[1];
      break;
    }
    default:
      CHECK(false) << "no such rule";
  }
}

// The same elements with samples as rows and as columns, in place too; and about the part asked
// for.
template <class T>
void drops(const std::string& isa, const Kernels<T>& table) {
  for (const int units : {1, 7, 16, 33})
    for (const int samples : {1, 9, 64}) {
      const std::ptrdiff_t ld_r = chainrule::padded<T>(units + 1),
                           ld_c = chainrule::padded<T>(samples);
      Buffer<T> rows(samples * ld_r), columns(units * ld_c), out_r(samples * ld_r),
          out_c(units * ld_c);
      Random random(6);
      for (int i = 0; i < samples; ++i)
        for (int j = 0; j < units; ++j)
          rows[i * ld_r + j] = columns[j * ld_c + i] = static_cast<T>(1 + std::abs(random.real()));
      const chainrule::Drop<T> by_rows{{12345, 678}, 1 << 22, T(4) / 3, 40, 7919, 3, 104729};
      chainrule::Drop<T> by_columns = by_rows;
      std::swap(by_columns.row, by_columns.col);
      std::swap(by_columns.row_step, by_columns.col_step);
      table.drop(by_rows, samples, units, rows.data(), out_r.data(), ld_r);
      table.drop(by_columns, units, samples, columns.data(), out_c.data(), ld_c);
      table.drop(by_rows, samples, units, rows.data(), rows.data(), ld_r);
      bool right = true;
      int dropped = 0;
      for (int i = 0; i < samples; ++i)
        for (int j = 0; j < units; ++j) {
          const T x = out_r[i * ld_r + j];
          right = right && x == out_c[j * ld_c + i] && x == rows[i * ld_r + j] &&
                  (x == 0 || x == columns[j * ld_c + i] * (T(4) / 3));
          dropped += x == 0 ? 1 : 0;
        }
      CHECK(right) << isa << " dropout of " << units << " units, " << samples << " samples";
      const int all = units * samples;
      if (all > 1000)
        CHECK(4 * dropped > 0.8 * all && 4 * dropped < 1.2 * all) << isa << " dropped " << dropped;
    }
}

template <class T>
void sums(const std::string& isa, const Kernels<T>& table) {
  for (const int n : {0, 1, 15, 16, 17, 100, 1000}) {
    Random random(7);
    std::vector<T> x;
    Wide a = 0, s = 0;
    for (int i = 0; i < n; ++i) {
      x.push_back(static_cast<T>(random.real()));
      a += std::abs(static_cast<Wide>(x.back()));
      s += static_cast<Wide>(x.back()) * x.back();
    }
    double absolute = -1, squares = -1;
    table.sums(x.data(), n, &absolute, &squares);
    CHECK(std::abs(absolute - a) <= 1e-14 * a && std::abs(squares - s) <= 1e-14 * s)
        << isa << " sums of " << n;
  }
}

template <class T>
void finite(const std::string& isa, const Kernels<T>& table) {
  using Limits = std::numeric_limits<T>;
  for (const int n : {0, 1, 3, 16, 31, 63, 64, 65, 200}) {
    std::vector<T> x{T(1)};  // so that the rest is not aligned
    for (int i = 0; i < n; ++i) {
      constexpr T kFinite[] = {T(0), Limits::max(), Limits::lowest(), Limits::denorm_min(),
                               T(-0.0)};
      x.push_back(kFinite[i % 5]);
    }
    x.push_back(Limits::quiet_NaN());  // past the end
    CHECK(table.finite(x.data() + 1, n)) << isa << ", " << n << " finite";
    for (int i = 1; i <= n; ++i)
      for (const T bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                          -Limits::quiet_NaN(), Limits::signaling_NaN()}) {
        const T was = std::exchange(x[i], bad);
        CHECK(!table.finite(x.data() + 1, n)) << isa << ", " << i << " of " << n << " is " << bad;
        x[i] = was;
      }
  }
}

template <class T>
void updates(const std::string& isa, const Kernels<T>& table) {
  constexpr const char* kNames[] = {
#define CHAINRULE_ROW(name, states) #name,
      CHAINRULE_RULES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
  };
  constexpr int kStates[] = {
#define CHAINRULE_ROW(name, states) states,
      CHAINRULE_RULES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
  };
  for (int r = 0; r < static_cast<int>(Rule::count); ++r)
    for (const int n : {1, 3, 7, 8, 15, 16, 17, 31, 33, 100})
      for (const bool plain : {true, false}) {
        const auto rule = static_cast<Rule>(r);
        const T most = std::numeric_limits<T>::infinity();
        const chainrule::Update<T> u{rule,
                                     T(0.1),
                                     plain ? T(0) : T(0.03),
                                     T(0.9),
                                     T(0.1),
                                     T(0.01),
                                     T(1e-8),
                                     T(1.5),
                                     T(4),
                                     T(0.5),
                                     T(1.25),
                                     T(1e-6),
                                     T(0.5),
                                     plain ? T(1) : T(0.75),
                                     plain ? most : T(0.4),
                                     plain ? T(0) : T(0.07),
                                     plain ? T(0) : T(0.2)};
        const chainrule::Update<double> exact{
            rule,      u.rate,    u.decay,          u.momentum, u.gain, u.smooth_gain,
            u.epsilon, u.correct, u.smooth_correct, u.shrink,   u.grow, u.least,
            u.most,    u.scale,   u.clip,           u.l1,       u.l2};
        Random random(5);
        std::vector<T> w(n + 1), g(n + 1), s[2] = {std::vector<T>(n + 1), std::vector<T>(n + 1)};
        for (int i = 0; i <= n; ++i) {
          w[i] = static_cast<T>(random.real());
          g[i] = i % 5 == 4 ? T(0) : static_cast<T>(random.real());
          s[0][i] =
              static_cast<T>(std::abs(random.real()) * (rule == Rule::rprop && i % 2 ? -1 : 1));
          s[1][i] = static_cast<T>(std::abs(random.real()));
        }
        const auto w_0 = w, s_0 = s[0], s_1 = s[1];
        T* state[2] = {kStates[r] > 0 ? s[0].data() : nullptr,
                       kStates[r] > 1 ? s[1].data() : nullptr};
        bool right = table.update(u, w.data(), state, g.data(), n);
        right = right && w[n] == w_0[n] && s[0][n] == s_0[n] && s[1][n] == s_1[n];
        const auto near = [](T got, Wide expected) {
          return std::abs(got - expected) <=
                 8 * std::numeric_limits<T>::epsilon() * std::max<Wide>(std::abs(expected), 0.1L);
        };
        for (int i = 0; i < n; ++i) {
          Wide w_i = w_0[i], s_i[2] = {s_0[i], s_1[i]};
          step_by_the_book(rule, exact, w_i, s_i, g[i]);
          right = right && near(w[i], w_i) && near(s[0][i], s_i[0]) && near(s[1][i], s_i[1]);
        }
        CHECK(right) << isa << " " << kNames[r] << ", " << n << " parameters";
        g[n / 2] = std::numeric_limits<T>::infinity();
        if (plain && rule == Rule::sgd)
          CHECK(!table.update(u, w.data(), state, g.data(), n)) << isa << " overflow";
      }
}

template <class T>
void all(const std::string& isa) {
  const Kernels<T>& table = chainrule::kernels<T>();
  CHECK(isa == table.isa);
  Random random(1);
  const int p = table.panel;
  for (const int rows : {1, 2, 5, 6, 7, 13, 14, 15, 27, 28, 29, 43})
    for (const int cols : {1, p / 2 - 1, p / 2, p / 2 + 1, p - 1, p, p + 1, 2 * p + p / 2 + 1})
      for (const int depth : {1, 2, 3, 17, 64})
        if (cols > 0) products(isa, table, rows, depth, cols, true, depth % 2 == 0, random);
  for (const int depth : {127, 128, 129, 383, 384, 385, 768, 1000})
    for (const bool packed : {false, true})
      for (const bool integers : {false, true})
        products(isa, table, 15, depth, p + 3, integers, packed, random);
  copied_operands(isa, table);
  nan_stays_in_its_row(isa, table);
  activations(isa, table);
  updates(isa, table);
  drops(isa, table);
  sums(isa, table);
  finite(isa, table);
}

}  // namespace

int main() {
  for_each_isa([](const std::string& isa) {
    all<float>(isa);
    all<double>(isa);
  });
  return report("kernels");
}
