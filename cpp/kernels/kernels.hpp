// The contract between the kernel room and the rest: one table of function pointers per
// instruction set and element type. Everything above works in terms of this table; nothing above
// knows what a vector is. This header is plain data: no STL, no inline functions (see isa.cpp).
#pragma once

#include <cstddef>

namespace chainrule {

// One row per activation: its name, and whether f'(z) needs z kept (otherwise a = f(z) is enough).
#define CHAINRULE_ACTIVATIONS(ROW) \
  ROW(identity, false)             \
  ROW(relu, false)                 \
  ROW(leaky_relu, false)           \
  ROW(sigmoid, false)              \
  ROW(tanh, false)                 \
  ROW(softplus, false)             \
  ROW(gelu, true)                  \
  ROW(silu, true)

enum class Activation : int {
#define CHAINRULE_ROW(name, needs_z) name,
  CHAINRULE_ACTIVATIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
      count
};

// Every buffer that a kernel writes has rows padded to kPad bytes and may be written there.
constexpr std::ptrdiff_t kPad = 64;

// (depth x cols) right operand, read one panel of columns after the other: element (k, j) is
// p[(j / panel) * panel_stride + k * rs + j % panel]. A plain row-major matrix is the case
// rs = its leading dimension, panel_stride = panel. Rows may be read up to a panel past their end.
template <class T>
struct Right {
  const T* p;
  std::ptrdiff_t rs, panel_stride;
};

// Each output element of the three products is one chain of fused multiply-adds in index order.
template <class T>
struct Kernels {
  const char* isa;
  int panel;  // columns of a packed panel

  // Panels of B (depth x cols), columns padded with zeros; row k of a panel starts at k * panel.
  // Element (k, j) of B is B[k * ld + j] for the one, B[j * ld + k] for the other.
  void (*pack)(T* panels, std::ptrdiff_t panel_stride, const T* B, std::ptrdiff_t ld, int depth,
               int cols);
  void (*pack_transposed)(T* panels, std::ptrdiff_t panel_stride, const T* B, std::ptrdiff_t ld,
                          int depth, int cols);

  // (Z) z = x W^T + b; (A) a = f(z). Row `depth` of W holds the bias. z may be null (not kept).
  void (*forward)(int rows, int depth, int cols, const T* x, std::ptrdiff_t ld_x, Right<T> W,
                  Activation f, T* z, T* a, std::ptrdiff_t ld);

  // (BP2) delta_below = (delta W) * f'(z); a and z are those of the layer below.
  void (*backward)(int rows, int depth, int cols, const T* delta, std::ptrdiff_t ld_delta,
                   Right<T> W, Activation f, const T* z, const T* a, T* delta_below,
                   std::ptrdiff_t ld);

  // (BP4) dW = a^T delta over `depth` samples (rows of a and delta), summed by blocks of `block`
  // samples; block sums are added in order. With `add`, onto what dW holds. A column of ones in a
  // gives (BP3) db. `scratch` has room for block * (rows + panel) elements and a vector more.
  void (*gradient)(int rows, int depth, int cols, const T* a, std::ptrdiff_t ld_a, Right<T> delta,
                   int block, bool add, T* dW, std::ptrdiff_t ld, T* scratch);

  void (*activate)(Activation f, T* a, const T* z, std::ptrdiff_t n);                // a = f(z)
  void (*derive)(Activation f, T* delta, const T* z, const T* a, std::ptrdiff_t n);  // *= f'(z)

  // (BP1) without f': delta = scale (a - y). row_cost[i] = sum_j (a_ij - y_ij)^2, in double.
  void (*mse)(int rows, int cols, const T* a, const T* y, std::ptrdiff_t ld, T scale, T* delta,
              double* row_cost);

  // (GD) theta -= rate * g; with a velocity: v = momentum * v + g, theta -= rate * v. Returns
  // whether all of theta is finite still.
  bool (*descend)(T* theta, T* velocity, const T* g, std::ptrdiff_t n, T rate, T momentum);

  // `rounds` rounds of independent multiply-adds in registers: the roof. Returns the flop count.
  double (*fma_peak)(long rounds, T* sink);
};

struct InstructionSet {
  const char* name;
  const Kernels<float>* f32;
  const Kernels<double>* f64;
};

}  // namespace chainrule
