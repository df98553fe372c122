#include "penalty.hpp"

namespace chainrule {

template <class T>
ThetaSums sums(const Team& team, const Network<T>& net, const T* x, bool weights_alone,
               Buffer<double>& partial) {
  constexpr std::ptrdiff_t kBlock = 4096;
  if (partial.size() == 0) partial.reset(2 * (blocks_of(net.layout.size, kBlock) + net.L()));
  const Team members = net.layout.size < kShareTheta ? Team() : team;
  std::ptrdiff_t used = 0;
  for (int l = 1; l <= net.L(); ++l) {
    const std::ptrdiff_t begin = net.layout.W(l),
                         end = net.layout.b(l) + (weights_alone ? 0 : net.n(l));
    const int blocks = static_cast<int>(blocks_of(end - begin, kBlock));
    members.for_each(blocks, [&](int block, int) {
      const std::ptrdiff_t from = begin + block * kBlock;
      double* const to = partial.data() + 2 * (used + block);
      kernels<T>().sums(x + from, std::min(kBlock, end - from), to, to + 1);
    });
    used += blocks;
  }
  ThetaSums total{0, 0};
  for (std::ptrdiff_t i = 0; i < used; ++i) {
    total.absolute += partial[2 * i];
    total.squares += partial[2 * i + 1];
  }
  return total;
}

template <class T>
void add_penalties(const Team& team, const Network<T>& net, double l1, double l2, T* g) {
  const T of_signs = static_cast<T>(l1), of_weights = static_cast<T>(l2);
  const T* const theta = net.theta.data();
  const int parts = net.layout.size < kShareTheta ? 1 : team.size();
  team.for_each(parts, [&](int part, int) {
    for (int l = 1; l <= net.L(); ++l) {
      const std::ptrdiff_t W = net.layout.W(l);
      const Range mine = share(net.layout.b(l) - W, kThetaGrain, part, parts);
      for (std::ptrdiff_t i = W + mine.begin; i < W + mine.end; ++i) {
        const T sign = theta[i] > 0 ? T(1) : theta[i] < 0 ? T(-1) : T(0);
        g[i] = std::fma(of_signs, sign, std::fma(of_weights, theta[i], g[i]));
      }
    }
  });
}

template ThetaSums sums(const Team&, const Network<float>&, const float*, bool, Buffer<double>&);
template ThetaSums sums(const Team&, const Network<double>&, const double*, bool, Buffer<double>&);
template void add_penalties(const Team&, const Network<float>&, double, double, float*);
template void add_penalties(const Team&, const Network<double>&, double, double, double*);

}  // namespace chainrule
