// The passes over a batch, by the way that suits the network: blocks of samples through all layers
// (Fused) or layer by layer (Layered). Both give the same bits; the number of threads has no say.
#pragma once

#include <memory>

#include "layered.hpp"
#include "network.hpp"

namespace chainrule {

template <class T>
struct Data {
  const T* X;
  const T* Y;
  std::ptrdiff_t m;
  const T* weight = nullptr;  // of the samples; null: all 1
  const Objective<T>* objective = &Objective<T>::squares();

  Batch<T> as_batch() const { return {X, Y, nullptr, m, m, 0, weight, objective}; }
};

template <class T>
class Passes {
 public:
  enum class Way { choose, fused, layered };
  Passes(const Network<T>& net, std::ptrdiff_t most_rows, int threads, bool with_gradient = true,
         Way way = Way::choose);

  // finish(at, g, n) for pieces of the finished gradient, g[0] being the slope of theta[at], on
  // any member. It may change those pieces of theta: they are not read again.
  template <class Finish, class Interrupted>
  Outcome backpropagate(const Team& team, const Batch<T>& batch, const Finish& finish,
                        const Interrupted& interrupted) {
    return fused_ ? fused_->backpropagate(team, batch, finish, interrupted)
                  : layered_->backpropagate(team, batch, finish, interrupted);
  }
  double cost(const Team& team, const Batch<T>& batch) {
    return fused_ ? fused_->cost(team, batch) : layered_->cost(team, batch);
  }
  void outputs(const Team& team, const Batch<T>& batch, T* out) {
    fused_ ? fused_->outputs(team, batch, out) : layered_->outputs(team, batch, out);
  }
  std::ptrdiff_t bytes() const { return fused_ ? fused_->bytes() : layered_->bytes(); }
  const char* way() const { return fused_ ? "fused" : "layered"; }
  const char* isa() const { return isa_; }

 private:
  const char* isa_;
  std::unique_ptr<Fused<T>> fused_;  // one of the two
  std::unique_ptr<Layered<T>> layered_;
};

// Floating-point operations of one gradient: forward, and backward twice as much but for the first
// layer's delta. With them, how many threads it is worth.
template <class T>
double gradient_flops(const Network<T>& net, std::ptrdiff_t m);
template <class T>
int threads_for_gradient(const Network<T>& net, std::ptrdiff_t m);

// The gradient of the cost, in the order of theta; the cost.
template <class T>
double gradient(const Network<T>& net, const Data<T>& data, T* out);
template <class T>
double cost(const Network<T>& net, const Data<T>& data);
template <class T>
void predict(const Network<T>& net, const T* X, std::ptrdiff_t m, T* out);

}  // namespace chainrule
