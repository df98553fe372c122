// The contract between the kernel room and the rest: one table of function pointers per
// instruction set and element type. Everything above works in terms of this table; nothing above
// knows what a vector is. This header is plain data: no STL, no inline functions (see isa.cpp).
#pragma once

#include <cstddef>
#include <cstdint>

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

// The elementary functions that can be had over arrays; the activations are built on them.
#define CHAINRULE_FUNCTIONS(ROW) \
  ROW(exp)                       \
  ROW(expm1)                     \
  ROW(sigmoid)                   \
  ROW(tanh)                      \
  ROW(erf)

enum class Function : int {
#define CHAINRULE_ROW(name) name,
  CHAINRULE_FUNCTIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
      count
};

// One row per loss: its name, and what one output pair is: a number of its own (element), all of a
// row (row), or one of a mean and a log-variance (pair). `given` takes dC/da for Y.
#define CHAINRULE_LOSSES(ROW)        \
  ROW(mse, element)                  \
  ROW(mae, element)                  \
  ROW(huber, element)                \
  ROW(log_cosh, element)             \
  ROW(quantile, element)             \
  ROW(poisson, element)              \
  ROW(binary_cross_entropy, element) \
  ROW(cross_entropy, row)            \
  ROW(gaussian_nll, pair)            \
  ROW(given, element)

enum class Loss : int {
#define CHAINRULE_ROW(name, per) name,
  CHAINRULE_LOSSES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
      count
};
enum class LossPer { element, row, pair };

// One row per update rule: its name, and how many arrays like theta are its state.
#define CHAINRULE_RULES(ROW) \
  ROW(sgd, 0)                \
  ROW(momentum, 1)           \
  ROW(nesterov, 1)           \
  ROW(rmsprop, 1)            \
  ROW(rmsprop_momentum, 2)   \
  ROW(adam, 2)               \
  ROW(adamw, 2)              \
  ROW(rprop, 2)

enum class Rule : int {
#define CHAINRULE_ROW(name, states) name,
  CHAINRULE_RULES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
      count
};
constexpr int kMostStates = 2;

// The numbers of a rule at one step; what each rule does with them is in optimizer.inl.
template <class T>
struct Update {
  Rule rule;
  T rate;         // learning rate
  T decay;        // weight decay
  T momentum;     // mu
  T gain;         // 1 - beta_1 of adam, adamw
  T smooth_gain;  // 1 - alpha of rmsprop, 1 - beta_2 of adam, adamw
  T epsilon;
  T correct;         // 1 / (1 - beta_1^t)
  T smooth_correct;  // 1 / sqrt(1 - beta_2^t)
  T shrink, grow;    // of rprop: eta-, eta+
  T least, most;     // of rprop: bounds of a step
  T scale, clip;     // the slope is multiplied by the one, then cut at +- the other
  T l1, l2;          // before that: slope + l2 theta + l1 sign(theta)
};

// Every buffer that a kernel writes has rows padded to kPad bytes and may be written there.
constexpr std::ptrdiff_t kPad = 64;

// (depth x cols) right operand, read one panel of columns after the other: element (k, j) is
// p[(j / panel) * panel_stride + k * rs + j % panel]. A plain row-major matrix is the case
// rs = its leading dimension, panel_stride = panel. Rows may be read up to a panel past their end.
// A transposed one, read by `backward` alone, has element (k, j) at p[j * rs + k].
template <class T>
struct Right {
  const T* p;
  std::ptrdiff_t rs, panel_stride;
  bool transposed = false;
};

// Which elements are dropped: a hash of (key, sample, unit) is below `bound` of 2^24.
template <class T>
struct Drop {
  std::uint32_t key[2];
  std::int32_t bound;
  T scale;                                     // 1 / (1 - p)
  std::uint32_t row, row_step, col, col_step;  // of element (i, k): row + i row_step, ...
};

template <class T>
struct LossInput {
  Loss loss;
  const T* parameters;  // one for each output, up to a multiple of kPad bytes, or null
  const T *a, *y;
  std::ptrdiff_t ld;  // of a, y and delta
  const T* weight;    // one for each sample, or null
  T scale;
};

// Each output element of the three products is one chain of fused multiply-adds in index order.
template <class T>
struct Kernels {
  const char* isa;
  int panel;  // columns of a packed panel

  // Panels of B (depth x cols), columns padded with zeros; row k of a panel starts at k * panel.
  void (*pack)(T* panels, std::ptrdiff_t panel_stride, const T* B, std::ptrdiff_t ld, int depth,
               int cols);

  // (Z) z = x W^T + b; (A) a = f(z). Row `depth` of W holds the bias. z may be null (not kept).
  void (*forward)(int rows, int depth, int cols, const T* x, std::ptrdiff_t ld_x, Right<T> W,
                  Activation f, T* z, T* a, std::ptrdiff_t ld);

  // (BP2) delta_below = (delta W) * f'(z); a and z are those of the layer below.
  void (*backward)(int rows, int depth, int cols, const T* delta, std::ptrdiff_t ld_delta,
                   Right<T> W, Activation f, const T* z, const T* a, T* delta_below,
                   std::ptrdiff_t ld);

  // (BP4) dW = a^T delta over `depth` samples (rows of a and delta), summed by blocks of `block`
  // samples; block sums are added in order. A column of ones in a gives (BP3) db. `scratch` has
  // room for block * (rows + panel) elements and a vector more.
  void (*gradient)(int rows, int depth, int cols, const T* a, std::ptrdiff_t ld_a, Right<T> delta,
                   int block, T* dW, std::ptrdiff_t ld, T* scratch);

  // The same with samples as columns: x, z, a, delta have one row per unit, W and dW lie as in
  // theta, (inputs + 1) x outputs, contiguous. Columns may be written up to a multiple of kPad
  // bytes. For narrow layers: all lanes are in use whatever the width, and nothing is packed.
  // (BP2) is `backward` with W on the left and delta on the right.
  void (*forward_columns)(int outputs, int inputs, int samples, const T* W, const T* x,
                          std::ptrdiff_t ld_x, Activation f, T* z, T* a, std::ptrdiff_t ld);
  // (BP4), (BP3) for `inputs` rows of dW, whose inputs are the rows of a. Writes nothing else.
  // `scratch` has room for gradient_scratch(inputs, outputs, samples) elements.
  void (*gradient_columns)(int inputs, int outputs, int samples, const T* a, const T* delta,
                           std::ptrdiff_t ld, T* dW, T* scratch);
  std::ptrdiff_t (*gradient_scratch)(int inputs, int outputs, int samples);

  // Rows of a data set as columns: to[k * ld + i] is element k of row order[i] (null: row i). The
  // data set ends at `end`.
  void (*gather)(T* to, std::ptrdiff_t ld, const T* rows, const T* end, const std::int64_t* order,
                 int n, int samples);
  void (*scatter)(T* rows, const T* from, std::ptrdiff_t ld, int n, int samples);  // and back

  void (*activate)(Activation f, T* a, const T* z, std::ptrdiff_t n);                // a = f(z)
  void (*derive)(Activation f, T* delta, const T* z, const T* a, std::ptrdiff_t n);  // *= f'(z)

  void (*evaluate)(Function f, T* y, const T* x, std::ptrdiff_t n);  // y = f(x)

  // (BP1) without f': delta = scale w_i dc_i/da, and row_cost[i] = w_i c_i in double, where c_i is
  // row i's share of the cost. `weight` may be null (all 1), `delta` too (not wanted).
  void (*loss)(int rows, int cols, const LossInput<T>& in, T* delta, double* row_cost);
  void (*loss_columns)(int outputs, int samples, const LossInput<T>& in, T* delta,
                       double* row_cost);

  void (*add)(T* sum, const T* term, std::ptrdiff_t n);  // sum += term

  // Dropout: out = a / (1 - p) where kept, 0 where dropped; element (i, k) of rows `ld` apart. May
  // be done in place. Columns are written up to a multiple of kPad bytes.
  void (*drop)(const Drop<T>& how, int rows, int cols, const T* a, T* out, std::ptrdiff_t ld);

  // The sums of |x| and of x^2, in double, in an order that depends on n alone.
  void (*sums)(const T* x, std::ptrdiff_t n, double* absolute, double* squares);

  bool (*finite)(const T* x, std::ptrdiff_t n);  // whether no element is NaN or infinite

  // (GD) One step of n parameters; `state` are as many arrays as the rule's row says. Returns
  // whether all of theta is finite still.
  bool (*update)(const Update<T>& u, T* theta, T* const* state, const T* g, std::ptrdiff_t n);

  // `rounds` rounds of independent multiply-adds in registers: the roof. Returns the flop count.
  double (*fma_peak)(long rounds, T* sink);
};

struct InstructionSet {
  const char* name;
  const Kernels<float>* f32;
  const Kernels<double>* f64;
};

}  // namespace chainrule
