#include "objective.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace chainrule {
namespace {

struct LossName {
  const char* name;
  LossPer per;
};

constexpr std::array<LossName, static_cast<std::size_t>(Loss::count)> kLosses = {{
#define CHAINRULE_ROW(name, per) {#name, LossPer::per},
    CHAINRULE_LOSSES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
}};

LossPer per(Loss loss) { return kLosses[static_cast<std::size_t>(loss)].per; }

bool has_parameters(Loss loss) {
  return loss == Loss::huber || loss == Loss::quantile || loss == Loss::gaussian_nll;
}

}  // namespace

Loss loss_named(const std::string& name) {
  std::string allowed;
  for (std::size_t i = 0; i < kLosses.size(); ++i) {
    if (name == kLosses[i].name) return static_cast<Loss>(i);
    allowed += (i == 0 ? "" : ", ") + std::string(kLosses[i].name);
  }
  throw std::invalid_argument("loss: \"" + name + "\" is unknown; allowed: " + allowed);
}

Reduction reduction_named(const std::string& name) {
  if (name == "mean") return Reduction::mean;
  if (name == "half_mean") return Reduction::half_mean;
  if (name == "mean_rows") return Reduction::mean_rows;
  if (name == "sum") return Reduction::sum;
  throw std::invalid_argument("reduction: mean, half_mean, mean_rows, sum; got " + name);
}

template <class T>
Objective<T>::Objective(const std::string& loss_name, const std::vector<double>& numbers,
                        const std::string& reduction_name, int n_L)
    : loss(loss_named(loss_name)), reduction(reduction_named(reduction_name)) {
  if (per(loss) == LossPer::pair && n_L % 2 != 0)
    throw std::invalid_argument(loss_name + ": an even number of outputs");
  const auto outputs = static_cast<std::size_t>(n_L);
  if (has_parameters(loss) ? numbers.size() != 1 && numbers.size() != outputs : !numbers.empty())
    throw std::invalid_argument(loss_name + ": parameters: one, or one for each output");
  if (numbers.empty()) return;
  parameters.resize(outputs + static_cast<std::size_t>(kPad) / sizeof(T));
  for (std::size_t j = 0; j < outputs; ++j) {
    double p = numbers.size() == 1 ? numbers[0] : numbers[j];
    if (loss == Loss::gaussian_nll)  // eps; its row takes the logarithm, finite for eps = 0 too
      p = std::max(std::log(p), -1e30);
    parameters[j] = static_cast<T>(p);
  }
}

template <class T>
int Objective<T>::targets(int n_L) const {
  return per(loss) == LossPer::pair ? n_L / 2 : n_L;
}

template <class T>
double Objective<T>::divisor(double weight, int n_L) const {
  const double elements = per(loss) == LossPer::row ? weight : weight * targets(n_L);
  if (reduction == Reduction::sum || !(elements > 0)) return 1;
  if (reduction == Reduction::mean_rows) return weight;
  return reduction == Reduction::half_mean ? 2 * elements : elements;
}

template <class T>
const Objective<T>& Objective<T>::squares() {
  static const Objective<T> objective;
  return objective;
}

template struct Objective<float>;
template struct Objective<double>;

}  // namespace chainrule
