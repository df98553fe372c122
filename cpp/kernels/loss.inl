// One row per loss: a sample's share of the cost, c, and its slope dc/da. Shares are summed in
// double in index order, so that the cost has the same bits everywhere and a small error for any m.
// No sum has two products, of which the compiler could fuse the one or the other. The formulas are
// stable: no difference of large numbers, no exponential that overflows unless c itself does.

// c is the sum of first * second.
template <class T>
struct Term {
  Vec<T> first, second, slope;
};

// log(1 + x) for any x >= 0.
template <class T>
CHAINRULE_INLINE Vec<T> log1p_any(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> one = broadcast(T(1)), magic = broadcast(C::round);
  const Int<T> bits = reinterpret_cast<Int<T>>(x + one);
  const Int<T> exponent = (bits >> Simd<T>::mantissa) - Simd<T>::bias;
  const Vec<T> k = reinterpret_cast<Vec<T>>(exponent + reinterpret_cast<Int<T>>(magic)) - magic;
  const Vec<T> m = reinterpret_cast<Vec<T>>(bits - (exponent << Simd<T>::mantissa));  // in [1, 2)
  const Vec<T> large =
      fma<T>(k, broadcast(C::ln2_hi), fma<T>(k, broadcast(C::ln2_lo), log1p<T>(m - one)));
  const Vec<T> small = log1p<T>(x);  // NaN takes this one
  return select<T>(x > C::largest, x, select<T>(x > one, large, small));
}

template <class T, Loss L>
struct LossRow;

// (MSE) c = (a - y)^2
template <class T>
struct LossRow<T, Loss::mse> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T>) {
    const Vec<T> e = a - y;
    return {e, e, e + e};
  }
};

// (MAE) c = |a - y|
template <class T>
struct LossRow<T, Loss::mae> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T>) {
    const Vec<T> e = a - y;
    return {abs<T>(e), broadcast(T(1)), sign<T>(e)};
  }
};

// (HUB) c = e^2 / 2 for |e| <= p, p (|e| - p / 2) beyond; dc/da = e cut at +- p
template <class T>
struct LossRow<T, Loss::huber> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T> p) {
    const Vec<T> e = a - y, size = abs<T>(e);
    const Int<T> near = size <= p;
    return {select<T>(near, e, p), select<T>(near, e * T(0.5), fma<T>(p, broadcast(T(-0.5)), size)),
            select<T>(near, e, sign<T>(e) * p)};
  }
};

// (LCH) c = log cosh e: through cosh e - 1 = u^2 / (2 (1 + u)) with u = exp(-|e|) - 1 up to 1, then
// |e| - log 2 + log(1 + exp(-2 |e|)); dc/da = tanh e
template <class T>
struct LossRow<T, Loss::log_cosh> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T>) {
    const Vec<T> e = a - y, size = abs<T>(e), one = broadcast(T(1));
    const Vec<T> u = expm1<T>(-at_most<T>(size, T(1)));
    const Vec<T> small = log1p<T>(u * u / (u + u + T(2)));
    const Vec<T> large = (size - T(0.69314718055994530942)) + log1p<T>(exp<T>(size * T(-2)));
    return {select<T>(size > one, large, small), one, tanh<T>(e)};
  }
};

// (QTL) c = p (y - a) where y > a, (1 - p) (a - y) where not
template <class T>
struct LossRow<T, Loss::quantile> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T> p) {
    const Vec<T> e = a - y, zero{};
    const Vec<T> rate = select<T>(e < zero, p, T(1) - p);
    return {abs<T>(e), rate, rate * sign<T>(e)};
  }
};

// (POI) c = exp(a) - y a, a being the logarithm of the rate
template <class T>
struct LossRow<T, Loss::poisson> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T>) {
    const Vec<T> rate = exp<T>(a);
    return {fma<T>(-y, a, rate), broadcast(T(1)), rate - y};
  }
};

// (BCE) c = log(1 + exp(a)) - y a = |a| (1 - y where a > 0, y where not) + log(1 + exp(-|a|));
// dc/da = sigmoid(a) - y
template <class T>
struct LossRow<T, Loss::binary_cross_entropy> {
  static CHAINRULE_INLINE Term<T> of(Vec<T> a, Vec<T> y, Vec<T>) {
    const Vec<T> one = broadcast(T(1)), size = abs<T>(a);
    const Int<T> positive = a > T(0);
    const Sigmoids<T> p = sigmoids<T>(a);
    return {fma<T>(size, select<T>(positive, one - y, y), log1p<T>(exp<T>(-size))), one,
            select<T>(positive, (one - y) - p.minus, p.plus - y)};
  }
};

// dC/da comes from outside, in the place of Y.
template <class T>
struct LossRow<T, Loss::given> {
  static CHAINRULE_INLINE Term<T> of(Vec<T>, Vec<T> y, Vec<T>) { return {Vec<T>{}, Vec<T>{}, y}; }
};

// Samples in the lanes, outputs one after the other: of arrays with samples as columns, or as rows.
template <class T>
struct Columns {
  std::ptrdiff_t ld;
  int count;
  CHAINRULE_INLINE std::ptrdiff_t of_sample(int i) const { return i; }
  CHAINRULE_INLINE Vec<T> get(const T* p, int j) const { return load(p + j * ld); }
  CHAINRULE_INLINE void put(T* p, int j, Vec<T> x) const { store<T>(p + j * ld, x); }
};

template <class T>
struct Rows {
  std::ptrdiff_t ld;
  int count;  // the others repeat the first
  CHAINRULE_INLINE std::ptrdiff_t of_sample(int i) const { return i * ld; }
  CHAINRULE_INLINE Vec<T> get(const T* p, int j) const {
    Vec<T> x{};
    for (int lane = 0; lane < kLanes<T>; ++lane) x[lane] = p[(lane < count ? lane : 0) * ld + j];
    return x;
  }
  CHAINRULE_INLINE void put(T* p, int j, Vec<T> x) const {
    for (int lane = 0; lane < count; ++lane) p[lane * ld + j] = x[lane];
  }
};

template <class T>
struct Sums {
  double of[kLanes<T>] = {};
  CHAINRULE_INLINE void add(Vec<T> first, Vec<T> second) {
    for (int lane = 0; lane < kLanes<T>; ++lane)
      of[lane] = fma_scalar(first[lane], second[lane], of[lane]);
  }
};

template <class T, Loss L>
struct LossLanes {
  template <class View>
  static CHAINRULE_INLINE void run(View view, int outputs, const T* a, const T* y,
                                   const T* parameters, Vec<T> scale, T* delta, Sums<T>& sums) {
    for (int j = 0; j < outputs; ++j) {
      const Vec<T> p = parameters != nullptr ? broadcast(parameters[j]) : Vec<T>{};
      const Term<T> t = LossRow<T, L>::of(view.get(a, j), view.get(y, j), p);
      sums.add(t.first, t.second);
      if (delta != nullptr) view.put(delta, j, t.slope * scale);
    }
  }
};

// (CE) c = -sum_j y_j log p_j with p = softmax(a); dc/da_j = S p_j - y_j with S = sum_j y_j. The
// largest output stands apart: p_max = 1 / (1 + r), r being the sum of the others' exp(a_k - max).
template <class T>
struct LossLanes<T, Loss::cross_entropy> {
  template <class View>
  static CHAINRULE_INLINE void run(View view, int outputs, const T* a, const T* y, const T*,
                                   Vec<T> scale, T* delta, Sums<T>& sums) {
    const Vec<T> zero{}, one = broadcast(T(1));
    Vec<T> most = view.get(a, 0), S = view.get(y, 0);
    for (int j = 1; j < outputs; ++j) {
      const Vec<T> z = view.get(a, j);
      most = select<T>(z > most, z, most);
      S += view.get(y, j);
    }
    Vec<T> r = zero;
    Int<T> seen{};
    for (int j = 0; j < outputs; ++j) {
      const Vec<T> z = view.get(a, j);
      const Int<T> first = (z == most) & ~seen;
      seen |= first;
      const Vec<T> e = select<T>(first, zero, exp<T>(z - most));
      r += e;
      if (delta != nullptr) view.put(delta, j, select<T>(first, -one, e));
    }
    const Vec<T> log_sum = log1p_any<T>(r), inverse = one / (r + one);
    for (int j = 0; j < outputs; ++j) {
      const Vec<T> target = view.get(y, j);
      sums.add(target, (most - view.get(a, j)) + log_sum);
      if (delta == nullptr) continue;
      const Vec<T> e = view.get(delta, j);
      const Vec<T> of_most = fma<T>(-S, r * inverse, S - target);
      const Vec<T> slope = select<T>(e < zero, of_most, fma<T>(S, e * inverse, -target));
      view.put(delta, j, slope * scale);
    }
  }
};

// (NLL) c = (log v + e^2 / v) / 2 with v = exp(s) + eps: the first half of the outputs are means,
// the second half s. p = log eps, r is the smaller of exp(s) and eps by the larger one.
template <class T>
struct LossLanes<T, Loss::gaussian_nll> {
  template <class View>
  static CHAINRULE_INLINE void run(View view, int outputs, const T* a, const T* y,
                                   const T* parameters, Vec<T> scale, T* delta, Sums<T>& sums) {
    const Vec<T> one = broadcast(T(1));
    const int half = outputs / 2;
    for (int j = 0; j < half; ++j) {
      const Vec<T> p = broadcast(parameters[j]);
      const Vec<T> e = view.get(a, j) - view.get(y, j), s = view.get(a, half + j), t = s - p;
      const Int<T> above = t > T(0);
      const Vec<T> larger = select<T>(above, s, p), r = exp<T>(-abs<T>(t));
      const Vec<T> log_v = larger + log1p<T>(r), part = one / (r + one);
      // 1 / v is kept finite: 0 times infinity would be NaN where the mean is right.
      const Vec<T> inverse = at_most<T>(exp<T>(-larger), Constants<T>::largest) * part;
      const Vec<T> scaled = e * inverse;
      sums.add(fma<T>(e, scaled, log_v), broadcast(T(0.5)));
      if (delta == nullptr) continue;
      view.put(delta, j, scaled * scale);
      const Vec<T> dv = select<T>(above, one, r) * part;  // of log v by s
      const Vec<T> slope = fma<T>(-e, scaled, one) * T(0.5) * dv;
      view.put(delta, half + j, slope * scale);
    }
  }
};

template <class T, Loss L, class View>
void loss_in_lanes(int outputs, int samples, const LossInput<T>& in, T* delta, double* row_cost) {
  constexpr int n = kLanes<T>;
  for (int i = 0; i < samples; i += n) {
    const int left = samples - i < n ? samples - i : n;
    const View view{in.ld, left};
    const std::ptrdiff_t at = view.of_sample(i);
    Vec<T> scale = broadcast(in.scale);
    if (in.weight != nullptr) scale *= load_part(in.weight + i, left);
    Sums<T> sums;
    LossLanes<T, L>::run(view, outputs, in.a + at, in.y + at, in.parameters, scale,
                         delta != nullptr ? delta + at : nullptr, sums);
    for (int lane = 0; lane < left; ++lane)
      row_cost[i + lane] =
          in.weight != nullptr ? in.weight[i + lane] * sums.of[lane] : sums.of[lane];
  }
}

// Where each output is a number of its own, lanes are outputs: rows are read as they lie.
template <class T, Loss L>
void loss_along_rows(int cols, int rows, const LossInput<T>& in, T* delta, double* row_cost) {
  constexpr int n = kLanes<T>;
  for (int i = 0; i < rows; ++i) {
    const T* ai = in.a + i * in.ld;
    const T* yi = in.y + i * in.ld;
    const Vec<T> scale = broadcast(in.weight != nullptr ? in.scale * in.weight[i] : in.scale);
    double sum = 0;
    for (int j = 0; j < cols; j += n) {
      const Vec<T> p = in.parameters != nullptr ? load(in.parameters + j) : Vec<T>{};
      const Term<T> t = LossRow<T, L>::of(load(ai + j), load(yi + j), p);
      const int left = cols - j < n ? cols - j : n;
      for (int lane = 0; lane < left; ++lane) sum = fma_scalar(t.first[lane], t.second[lane], sum);
      if (delta != nullptr) store<T>(delta + i * in.ld + j, t.slope * scale);
    }
    row_cost[i] = in.weight != nullptr ? in.weight[i] * sum : sum;
  }
}

template <class T>
struct LossKernels {  // (outputs, samples, ...)
  void (*rows)(int, int, const LossInput<T>&, T*, double*);
  void (*columns)(int, int, const LossInput<T>&, T*, double*);
};

template <class T, Loss L, LossPer P>
constexpr LossKernels<T> loss_kernels() {
  constexpr auto columns = loss_in_lanes<T, L, Columns<T>>;
  if constexpr (P == LossPer::element) return {loss_along_rows<T, L>, columns};
  return {loss_in_lanes<T, L, Rows<T>>, columns};
}

template <class T>
constexpr LossKernels<T> kLosses[] = {
#define CHAINRULE_ROW(name, per) loss_kernels<T, Loss::name, LossPer::per>(),
    CHAINRULE_LOSSES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
};

template <class T>
void loss(int rows, int cols, const LossInput<T>& in, T* delta, double* row_cost) {
  kLosses<T>[static_cast<int>(in.loss)].rows(cols, rows, in, delta, row_cost);
}

template <class T>
void loss_columns(int outputs, int samples, const LossInput<T>& in, T* delta, double* row_cost) {
  kLosses<T>[static_cast<int>(in.loss)].columns(outputs, samples, in, delta, row_cost);
}
