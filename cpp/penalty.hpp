// Penalties on the weights, not on the biases: l1 sum |W| + l2/2 sum W^2, their slopes, and the
// sums over theta that they need.
#pragma once

#include "network.hpp"

namespace chainrule {

struct ThetaSums {
  double absolute, squares;
};

// Over x, which lies like theta: over its weights alone, or all of it. In blocks, added in order;
// `partial` is room for them, taken at the first call.
template <class T>
ThetaSums sums(const Team& team, const Network<T>& net, const T* x, bool weights_alone,
               Buffer<double>& partial);

// g += l1 sign(W) + l2 W
template <class T>
void add_penalties(const Team& team, const Network<T>& net, double l1, double l2, T* g);

}  // namespace chainrule
