// What a training makes small: one of the losses, its parameters, and how samples are put together.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"

namespace chainrule {

Loss loss_named(const std::string& name);  // std::invalid_argument lists the names

// What the sum of all shares of the cost is divided by: the number of shares, twice that, the
// number of samples, or 1.
enum class Reduction : int { mean, half_mean, mean_rows, sum };
Reduction reduction_named(const std::string& name);

template <class T>
struct Objective {
  Loss loss = Loss::mse;
  Reduction reduction = Reduction::mean;
  std::vector<T> parameters;  // one for each output and padding, or none

  Objective() = default;
  // One parameter for all of n_L outputs, one for each, or none where the loss has none.
  Objective(const std::string& loss, const std::vector<double>& parameters,
            const std::string& reduction, int n_L);

  const T* numbers() const { return parameters.empty() ? nullptr : parameters.data(); }
  int targets(int n_L) const;  // columns of Y
  // (MSE) C = (sum of shares) / D: D for samples whose weights add up to `weight`. 1 where that is
  // 0.
  double divisor(double weight, int n_L) const;
  static const Objective& squares();  // the mean squared error
};

}  // namespace chainrule
