// How far to go along a line: a step that satisfies the strong Wolfe conditions, by bracketing and
// zoom with cubic interpolation (Nocedal and Wright, Numerical Optimization, second edition 2006,
// algorithms 3.5 and 3.6, equation 3.59). Knows a function of one number and its slope.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace chainrule {

// phi(alpha) = C(theta + alpha d), and phi'.
struct LinePoint {
  double alpha, value, slope;

  bool finite() const { return std::isfinite(value) && std::isfinite(slope); }
};

struct Wolfe {
  double c1 = 1e-4, c2 = 0.9;
  int most = 25;          // evaluations of phi
  double resolution = 0;  // intervals of alpha up to this width are not searched further
};

// wolfe: both conditions hold. decrease: the first alone, no better point was found in time.
enum class Found { wolfe, decrease, nothing, stopped };

struct LineSearch {
  Found found;
  LinePoint point;
  int evaluations;
};

// (3.59): where the cubic through both points, with their slopes, has its minimum; NaN: nowhere.
inline double cubic_minimum(const LinePoint& p, const LinePoint& q) {
  const double d1 = p.slope + q.slope - 3 * (p.value - q.value) / (p.alpha - q.alpha);
  const double d2 = std::copysign(std::sqrt(d1 * d1 - p.slope * q.slope), q.alpha - p.alpha);
  return q.alpha - (q.alpha - p.alpha) * ((q.slope + d2 - d1) / (q.slope - p.slope + 2 * d2));
}

// start.slope < 0. phi(alpha, point) fills in the value and the slope, and returns false to stop.
// A point that is not finite is too far away.
template <class Phi>
LineSearch strong_wolfe(const Phi& phi, const LinePoint& start, double first, const Wolfe& rule) {
  constexpr double kNearest = 1.1, kFarthest = 10;  // times alpha: the next one to try
  constexpr double kMargin = 0.1;  // of an interval: a point nearer to its ends tells too little
  const auto decreases = [&](const LinePoint& p) {  // (3.7a)
    return p.finite() && p.value <= start.value + rule.c1 * p.alpha * start.slope;
  };
  const auto flat = [&](const LinePoint& p) {  // (3.7b)
    return std::abs(p.slope) <= -rule.c2 * start.slope;
  };
  int evaluations = 0;
  LinePoint low = start, high{};
  bool bracketed = false;
  const auto answer = [&](Found found, const LinePoint& p) {
    return LineSearch{found, p, evaluations};
  };

  // Algorithm 3.5: until a minimum lies between `low` and `high`; `low` has the least value so far.
  LinePoint p{first, 0, 0};
  while (!bracketed && evaluations < rule.most) {
    ++evaluations;
    if (!phi(p.alpha, p)) return answer(Found::stopped, start);
    if (!decreases(p) || (low.alpha > 0 && p.value >= low.value)) {
      high = p;
      bracketed = true;
    } else if (flat(p)) {
      return answer(Found::wolfe, p);
    } else if (p.slope >= 0) {
      high = low;
      low = p;
      bracketed = true;
    } else {
      const double lowest = cubic_minimum(low, p);
      const double next = lowest > p.alpha ? lowest : kFarthest * p.alpha;
      low = p;
      p.alpha = std::clamp(next, kNearest * p.alpha, kFarthest * p.alpha);
    }
  }

  // Algorithm 3.6: `low` has the least value of all that decrease enough, and slopes towards
  // `high`.
  while (evaluations < rule.most) {
    const double width = std::abs(high.alpha - low.alpha);
    if (!(width > rule.resolution)) break;
    const double left = std::min(low.alpha, high.alpha);
    const double lowest = cubic_minimum(low, high);  // NaN where `high` is not finite
    p.alpha = !std::isfinite(lowest)
                  ? left + width / 2
                  : std::clamp(lowest, left + kMargin * width, left + (1 - kMargin) * width);
    ++evaluations;
    if (!phi(p.alpha, p)) return answer(Found::stopped, start);
    if (!decreases(p) || p.value >= low.value) {
      high = p;
    } else {
      if (flat(p)) return answer(Found::wolfe, p);
      if (p.slope * (high.alpha - low.alpha) >= 0) high = low;
      low = p;
    }
  }
  return answer(low.alpha > 0 ? Found::decrease : Found::nothing, low);
}

}  // namespace chainrule
