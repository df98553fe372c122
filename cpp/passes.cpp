#include "passes.hpp"

namespace chainrule {
namespace {

// Rows from which samples as columns fill the lanes of a prediction.
constexpr std::ptrdiff_t kColumnRows = 32;

// Bytes of theta up to which samples stand as columns in a prediction. In larger networks rows fill
// the lanes too, and a block can be shared between threads.
constexpr std::ptrdiff_t kColumnTheta = 64 << 10;

template <class T>
bool predicts_columns(const Network<T>& net, std::ptrdiff_t m) {
  return m >= kColumnRows &&
         net.layout.size * static_cast<std::ptrdiff_t>(sizeof(T)) <= kColumnTheta &&
         Fused<T>::suits(net);
}

// A few rows through a narrow network, on the stack: nothing is allocated, W is read where it lies.
constexpr std::ptrdiff_t kStackElements = 2048;
constexpr std::ptrdiff_t kStackTheta = 1 << 20;

template <class T>
void predict_rows(const Network<T>& net, std::ptrdiff_t ld, const T* X, int rows, T* out) {
  alignas(kPad) T stack[2][kStackElements + kSlack / sizeof(T)];
  const Kernels<T>& table = kernels<T>();
  const int L = net.L(), n_L = net.n(L);
  const T* below = X;
  std::ptrdiff_t ld_below = net.n(0);
  for (int l = 1; l <= L; ++l) {  // (Z), (A)
    T* const a = stack[l % 2];
    table.forward(rows, net.n(l - 1), net.n(l), below, ld_below,
                  Right<T>{net.W(l), net.n(l), table.panel}, net.f[l], nullptr, a, ld);
    below = a;
    ld_below = ld;
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < n_L; ++j) out[i * n_L + j] = below[i * ld + j];
}

}  // namespace

template <class T>
Passes<T>::Passes(const Network<T>& net, std::ptrdiff_t most_rows, int threads, bool with_gradient,
                  Way way)
    : isa_(kernels<T>().isa) {
  if (way == Way::fused || (way == Way::choose && Fused<T>::suits(net)))
    fused_ = std::make_unique<Fused<T>>(net, most_rows, threads, with_gradient);
  else
    layered_ = std::make_unique<Layered<T>>(
        net, most_rows, threads,
        with_gradient ? Layered<T>::Keep::needed : Layered<T>::Keep::forward);
}

template <class T>
double gradient_flops(const Network<T>& net, std::ptrdiff_t m) {
  return 3 * net.flops(m) - 2.0 * net.n(0) * net.n(1) * static_cast<double>(m);
}

template <class T>
int threads_for_gradient(const Network<T>& net, std::ptrdiff_t m) {
  return worthwhile_threads(gradient_flops(net, m), static_cast<double>(net.layout.size));
}

template <class T>
double gradient(const Network<T>& net, const Data<T>& data, T* out) {
  const int threads = threads_for_gradient(net, data.m);
  Passes<T> passes(net, data.m, threads);
  double cost = 0;
  parallel(threads, [&](const Team& team) {
    const auto keep = [&](std::ptrdiff_t at, const T* g, std::ptrdiff_t n) {
      std::copy_n(g, n, out + at);
    };
    cost = passes.backpropagate(team, data.as_batch(), keep, [] { return false; }).cost;
  });
  return cost;
}

template <class T>
double cost(const Network<T>& net, const Data<T>& data) {
  const int threads = worthwhile_threads(net.flops(data.m), 0);
  Passes<T> passes(net, data.m, threads, false);
  double cost = 0;
  parallel(threads, [&](const Team& team) { cost = passes.cost(team, data.as_batch()); });
  return cost;
}

template <class T>
void predict(const Network<T>& net, const T* X, std::ptrdiff_t m, T* out) {
  const std::ptrdiff_t ld = padded<T>(net.widest()), most = kStackElements / ld;
  // For every `most` rows W is read anew; a large one is read by all threads.
  if (m < kColumnRows && (most >= 4 || m <= most) &&
      net.layout.size * static_cast<std::ptrdiff_t>(sizeof(T)) <= kStackTheta) {
    for (std::ptrdiff_t i = 0; i < m; i += most)
      predict_rows(net, ld, X + i * net.n(0), static_cast<int>(std::min(most, m - i)),
                   out + i * net.n(net.L()));
    return;
  }
  const int threads = worthwhile_threads(net.flops(m), 0);
  parallel(threads, [&](const Team& team) {
    if (predicts_columns(net, m))
      Fused<T>(net, m, threads, false).outputs(team, {X, nullptr, nullptr, m, m}, out);
    else
      predict_layered(team, net, X, m, out);
  });
}

template class Passes<float>;
template class Passes<double>;
template double gradient_flops(const Network<float>&, std::ptrdiff_t);
template double gradient_flops(const Network<double>&, std::ptrdiff_t);
template int threads_for_gradient(const Network<float>&, std::ptrdiff_t);
template int threads_for_gradient(const Network<double>&, std::ptrdiff_t);
template double gradient(const Network<float>&, const Data<float>&, float*);
template double gradient(const Network<double>&, const Data<double>&, double*);
template double cost(const Network<float>&, const Data<float>&);
template double cost(const Network<double>&, const Data<double>&);
template void predict(const Network<float>&, const float*, std::ptrdiff_t, float*);
template void predict(const Network<double>&, const double*, std::ptrdiff_t, double*);

}  // namespace chainrule
