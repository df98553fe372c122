// The elementary functions, and one row per activation: f(z), and the derivative from a = f(z) or,
// where the row keeps z, from z. The functions are the same polynomials on every instruction set,
// free of branches, right at zeros, denormals, infinities and NaN, and monotone; what they promise
// and how the coefficients were made is in docs/decisions/0009-elementary-functions.md.

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr float log2e = 1.44269504F, ln2_hi = 0.693359375F, ln2_lo = -0.000212194442F;
  static constexpr float round = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float largest = 0x1.fffffep127F;
  static constexpr float exp_lo = -104.0F, exp_hi = 89.0F;  // exp gives 0 below, infinity above
  static constexpr float one_at = 20.0F;        // from here on expm1(-x) is -1 and tanh(x / 2) is 1
  static constexpr float erf_one_at = 3.95F;    // from here on erf is 1
  static constexpr std::int32_t head = ~0xfff;  // leaves 12 bits: their square is exact
  static constexpr float expm1[] = {0.5F, 0.166665763F, 0.0416665524F, 0.00836323295F,
                                    0.00139262504F};
  static constexpr float log1p[] = {0.666666687F, 0.399997056F, 0.28592357F, 0.217065752F,
                                    0.232243299F};
  static constexpr float tanh[] = {-0.333331436F, 0.1332587F, -0.0530447327F, 0.0172397587F};
  static constexpr float erf[] = {0.128379151F,   -0.376125038F,  0.112819217F,
                                  -0.0267704949F, 0.00499896565F, -0.000602080894F};
  static constexpr float log_erfcx[] = {-0.000133607318F, -1.12793601F,  0.363262475F,
                                        -0.104327202F,    0.0224200487F, -0.00309224357F,
                                        0.000200990573F};
  static constexpr float tail_end = 15.0F;  // the density is 0 from here on
  static constexpr float tail_scale = 0.35F;
  static constexpr float tail[] = {
      0.253244281F,   0.17149581F,     0.0710994303F,   0.01023384F,      -0.00511355F,
      -0.0017529896F, 0.000705498678F, 0.000205944874F, -0.000129706968F, 1.14542872e-05F};
};

template <>
struct Constants<double> {
  static constexpr double log2e = 1.4426950408889634, ln2_hi = 0.6931471803691238,
                          ln2_lo = 1.9082149292705877e-10;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double largest = 0x1.fffffffffffffp1023;
  static constexpr double exp_lo = -746.0, exp_hi = 710.0;
  static constexpr double one_at = 40.0;
  static constexpr double erf_one_at = 5.95;
  static constexpr std::int64_t head = ~0x7ffffffLL;  // leaves 26 bits
  static constexpr double expm1[] = {0.5,
                                     0.16666666666666671,
                                     0.041666666666666671,
                                     0.0083333333333260838,
                                     0.0013888888888883711,
                                     0.00019841269875002279,
                                     2.4801587325677461e-05,
                                     2.7557255170000888e-06,
                                     2.7557273478718582e-07,
                                     2.5105312729622103e-08,
                                     2.0914755325893202e-09};
  static constexpr double log1p[] = {0.66666666666666663,  0.39999999999999525, 0.28571428571600099,
                                     0.22222222198236771,  0.18181819897962714, 0.1538454396486055,
                                     0.13335178631449257,  0.11734279061303197, 0.10845178394880015,
                                     0.074921437955507666, 0.15630577800922851};
  static constexpr double tanh[] = {
      -0.33333333333333165,    0.1333333333330042,    -0.053968253945961484,  0.021869487787348253,
      -0.008863221042646184,   0.003591954030782809,  -0.0014544902421597301, 0.0005833050003328052,
      -0.00021783929344118457, 5.6807227607378894e-05};
  static constexpr double erf[] = {
      0.1283791670955126,     -0.37612638903183737,    0.11283791670954305,
      -0.026866170644932727,  0.005223977622957109,    -0.0008548326839491888,
      0.00012055324327474328, -1.4925381513886918e-05, 1.6456518829304756e-06,
      -1.62883820121157e-07,  1.411806101618165e-08,   -8.655110275182087e-10};
  static constexpr double log_erfcx[] = {
      -5.1001323809005755e-08, -1.128378621757053,      0.3633775629298545,
      -0.10276479129989549,    0.019113403749726643,    0.0002283348177872353,
      -0.00171013254492533,    0.0005893520998070243,   -8.7629997944256e-06,
      -9.034749616588405e-05,  5.387380599718985e-05,   -1.96252793363861e-05,
      5.192751182291834e-06,   -1.0383382203865998e-06, 1.5675130448279561e-07,
      -1.740301175434789e-08,  1.3439042949677551e-09,  -6.453694433510873e-11,
      1.4514446119756181e-12};
  static constexpr double tail_end = 39.5;
  static constexpr double tail_scale = 0.25;
  static constexpr double tail[] = {
      0.18882128260393788,     0.15197416049297294,     0.096784350185554716,
      0.046630464489923543,    0.015099143722674867,    0.0018850472413982648,
      -0.0008699230905606333,  -0.0004077046104725899,  3.3336063504762281e-05,
      5.7773704579844051e-05,  -4.7696663291533941e-07, -8.7860452894402434e-06,
      1.7875139898040247e-07,  1.479723182940809e-06,   -1.56283026011967e-07,
      -2.549512129533793e-07,  6.592062144101906e-08,   3.8565801341927688e-08,
      -1.9095205133726126e-08, -3.6446483367591149e-09, 3.4810059983754273e-09,
      -1.8173863697566723e-11, -2.4133563550571259e-10};
};

// x = n ln 2 + r with |r| <= ln 2 / 2, so that exp(x) = 2^n (1 + m) and m = expm1(r).
template <class T>
struct Reduced {
  Int<T> n;
  Vec<T> m;
};

// Of x + low, if a low part is given.
template <class T, class... Low>
CHAINRULE_INLINE Reduced<T> reduce(Vec<T> x, Low... low) {
  using C = Constants<T>;
  const Vec<T> magic = broadcast(C::round);
  const Vec<T> shifted = fma<T>((x + ... + low), broadcast(C::log2e), magic);
  const Vec<T> n = shifted - magic;
  const Vec<T> head = fma<T>(n, broadcast(-C::ln2_hi), x);
  const Vec<T> r = (fma<T>(n, broadcast(-C::ln2_lo), head) + ... + low);
  const Vec<T> m = fma<T>(r * r, polynomial<T>(C::expm1, r), r);
  return {reinterpret_cast<Int<T>>(shifted) - reinterpret_cast<Int<T>>(magic), m};
}

// exp(x + low): two steps of scaling, so that the result may be denormal, 0 or infinite.
template <class T, class... Low>
CHAINRULE_INLINE Vec<T> exp(Vec<T> x, Low... low) {
  using C = Constants<T>;
  const Reduced<T> e = reduce<T>(at_most<T>(at_least<T>(x, C::exp_lo), C::exp_hi), low...);
  const Int<T> half = e.n >> 1;
  return (e.m + T(1)) * power_of_two<T>(half) * power_of_two<T>(e.n - half);
}

// exp(x) - 1, without cancellation near 0: (2^k m + 2^k - 2^-l) 2^l, where n = k + l.
template <class T>
CHAINRULE_INLINE Vec<T> expm1(Vec<T> x) {
  using C = Constants<T>;
  const Reduced<T> e = reduce<T>(at_most<T>(at_least<T>(x, -C::one_at), C::exp_hi));
  const Int<T> k = e.n >> 1, l = e.n - k;
  const Vec<T> scale = power_of_two<T>(k);
  const Vec<T> y = fma<T>(scale, e.m, scale - power_of_two<T>(-l)) * power_of_two<T>(l);
  return add_sign<T>(y, x);
}

// log(1 + e) for 0 <= e <= 1: 2 atanh(s) with s = e / (2 + e).
template <class T>
CHAINRULE_INLINE Vec<T> log1p(Vec<T> e) {
  const Vec<T> s = e / (e + T(2));
  const Vec<T> w = s * s;
  return fma<T>(s * w, polynomial<T>(Constants<T>::log1p, w), s + s);
}

// The leading half of the digits: its square is exact.
template <class T>
CHAINRULE_INLINE Vec<T> leading(Vec<T> x) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) & Constants<T>::head);
}

// sigmoid(z) = 1 / (1 + E) and sigmoid(-z) = E / (1 + E) with E = exp(-z), without cancellation.
// E and 1 are both taken times 2^-k, about 1 / sqrt(E): nothing overflows where z < 0 is large.
template <class T>
struct Sigmoids {
  Vec<T> plus, minus;
};

template <class T>
CHAINRULE_INLINE Sigmoids<T> sigmoids(Vec<T> z) {
  using C = Constants<T>;
  const Reduced<T> e = reduce<T>(-at_most<T>(at_least<T>(z, C::exp_lo), -C::exp_lo));
  const Int<T> k = e.n >> 1;
  const Vec<T> one = power_of_two<T>(-k), scale = power_of_two<T>(e.n - k);
  // 1 + scale + scale m, the largest last: a rounding before it would be worth 1 ulp of the result.
  const Vec<T> last = magnitude_at_least<T>(one, scale);
  const Vec<T> first = magnitude_at_most<T>(one, scale);
  const Vec<T> inverse = T(1) / (fma<T>(e.m, scale, first) + last);
  return {one * inverse, (e.m + T(1)) * scale * inverse};
}

template <class T>
CHAINRULE_INLINE Vec<T> sigmoid(Vec<T> z) {
  return sigmoids<T>(z).plus;
}

// x + x^3 p(x^2) up to 1/2, then 1 - 2 / (exp(2 x) + 1): each step of it is monotone.
template <class T>
CHAINRULE_INLINE Vec<T> tanh(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> y = abs<T>(x), w = y * y;
  const Vec<T> small = fma<T>(y * w, polynomial<T>(C::tanh, w), y);
  const Reduced<T> e = reduce<T>(magnitude_at_most<T>(y + y, broadcast(C::one_at)));
  const Vec<T> scale = power_of_two<T>(e.n);
  const Vec<T> large = T(1) - T(2) / fma<T>(e.m, scale, scale + T(1));
  return add_sign<T>(select<T>(y >= T(0.5), large, small), x);  // NaN takes the small one
}

// x + x p(x^2) up to 7/8, then 1 - exp(q(x) - x^2), with x^2 in two parts.
template <class T>
CHAINRULE_INLINE Vec<T> erf(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> y = abs<T>(x);
  const Vec<T> small = fma<T>(y, polynomial<T>(C::erf, y * y), y);
  const Vec<T> z = magnitude_at_most<T>(y, broadcast(C::erf_one_at)), head = leading<T>(z);
  const Vec<T> low = fma<T>(-(z - head), z + head, polynomial<T>(C::log_erfcx, z));
  const Reduced<T> e = reduce<T>(-(head * head), low);
  const Vec<T> large = fma<T>(-(e.m + T(1)), power_of_two<T>(e.n), broadcast(T(1)));
  return add_sign<T>(select<T>(y >= T(0.875), large, small), x);
}

// The standard normal distribution: Phi(z) = erfc(-z / sqrt 2) / 2 and its density phi(z).
template <class T>
struct Normal {
  Vec<T> Phi, phi;
};

template <class T>
CHAINRULE_INLINE Normal<T> normal(Vec<T> z) {
  using C = Constants<T>;
  const Vec<T> x = at_most<T>(abs<T>(z), C::tail_end);
  // -x^2 / 2 in two parts, the first exact: a rounding error there would be magnified by exp.
  const Vec<T> head = leading<T>(x);
  const Vec<T> density = exp<T>(head * head * T(-0.5), (x - head) * (x + head) * T(-0.5));
  const Vec<T> y = x * C::tail_scale;
  const Vec<T> t = T(1) / (y + T(1));
  const Vec<T> upper = density * (t * polynomial<T>(C::tail, (T(1) - y) * t));
  return {select<T>(z < T(0), upper, T(1) - upper), density * T(0.3989422804014326779)};
}

// The rows. f' is computed from z or from a, whichever is kept (CHAINRULE_ACTIVATIONS).
template <class T, Activation F>
struct Row;

template <class T>
struct Row<T, Activation::identity> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) { return z; }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T>) { return broadcast(T(1)); }
};

template <class T>
struct Row<T, Activation::relu> {  // relu'(0) = 0; NaN stays NaN
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) { return select<T>(z <= T(0), Vec<T>{}, z); }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T> a) {
    return select<T>(a > T(0), broadcast(T(1)), Vec<T>{});
  }
};

template <class T>
struct Row<T, Activation::leaky_relu> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) { return select<T>(z > T(0), z, z * T(0.01)); }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T> a) {
    return select<T>(a > T(0), broadcast(T(1)), broadcast(T(0.01)));
  }
};

template <class T>
struct Row<T, Activation::sigmoid> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) { return sigmoid<T>(z); }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T> a) { return a * (T(1) - a); }
};

template <class T>
struct Row<T, Activation::tanh> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) { return tanh<T>(z); }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T> a) { return fma<T>(-a, a, broadcast(T(1))); }
};

template <class T>
struct Row<T, Activation::softplus> {  // f' = sigmoid(z) = 1 - exp(-a)
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) {
    return log1p<T>(exp<T>(-abs<T>(z))) + select<T>(z > T(0), z, Vec<T>{});
  }
  static CHAINRULE_INLINE Vec<T> df(Vec<T>, Vec<T> a) { return -expm1<T>(-a); }
};

// z times a tail that is 0: z is kept finite, or the product at infinity would be NaN.
template <class T>
struct Row<T, Activation::gelu> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) {
    return at_least<T>(z, -Constants<T>::tail_end) * normal<T>(z).Phi;
  }
  static CHAINRULE_INLINE Vec<T> df(Vec<T> z, Vec<T>) {
    const T end = Constants<T>::tail_end;
    const Vec<T> finite = at_most<T>(at_least<T>(z, -end), end);
    const Normal<T> g = normal<T>(finite);
    return fma<T>(finite, g.phi, g.Phi);
  }
};

template <class T>
struct Row<T, Activation::silu> {
  static CHAINRULE_INLINE Vec<T> f(Vec<T> z) {
    return at_least<T>(z, Constants<T>::exp_lo) * sigmoid<T>(z);
  }
  static CHAINRULE_INLINE Vec<T> df(Vec<T> z, Vec<T>) {
    const T end = Constants<T>::exp_lo;
    const Vec<T> finite = at_most<T>(at_least<T>(z, end), -end);
    const Sigmoids<T> s = sigmoids<T>(finite);
    return fma<T>(finite * s.plus, s.minus, s.plus);
  }
};

// Whole (rows x cols) blocks in memory; what a tile does not do in registers comes here.
template <class T, Activation F>
void activate_block(int rows, std::ptrdiff_t cols, T* a, std::ptrdiff_t ld) {
  for (int i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = 0; j < cols; j += kLanes<T>)
      store<T>(a + i * ld + j, Row<T, F>::f(load(a + i * ld + j)));
}

template <class T, Activation F>
void derive_block(int rows, std::ptrdiff_t cols, T* delta, const T* z, const T* a,
                  std::ptrdiff_t ld) {
  for (int i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = i * ld; j < i * ld + cols; j += kLanes<T>) {
      const Vec<T> kept_z = z != nullptr ? load(z + j) : Vec<T>{};
      store<T>(delta + j, load(delta + j) * Row<T, F>::df(kept_z, load(a + j)));
    }
}

template <class T>
struct ActivationRow {
  void (*activate)(int, std::ptrdiff_t, T*, std::ptrdiff_t);
  void (*derive)(int, std::ptrdiff_t, T*, const T*, const T*, std::ptrdiff_t);
};

template <class T>
constexpr ActivationRow<T> kActivations[] = {
#define CHAINRULE_ROW(name, needs_z) \
  {activate_block<T, Activation::name>, derive_block<T, Activation::name>},
    CHAINRULE_ACTIVATIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
};

// Contiguous vectors for the rest of the core; n counts elements, buffers are padded.
template <class T>
void activate(Activation f, T* a, const T* z, std::ptrdiff_t n) {
  for (std::ptrdiff_t j = 0; j < n; j += kLanes<T>) store<T>(a + j, load(z + j));
  kActivations<T>[static_cast<int>(f)].activate(1, n, a, 0);
}

template <class T>
void derive(Activation f, T* delta, const T* z, const T* a, std::ptrdiff_t n) {
  kActivations<T>[static_cast<int>(f)].derive(1, n, delta, z, a, 0);
}

template <class T>
constexpr void (*kFunctions[])(T*, const T*, std::ptrdiff_t) = {
#define CHAINRULE_ROW(name)                                                                  \
  [](T* y, const T* x, std::ptrdiff_t n) {                                                   \
    for (std::ptrdiff_t j = 0; j < n; j += kLanes<T>) store<T>(y + j, name<T>(load(x + j))); \
  },
    CHAINRULE_FUNCTIONS(CHAINRULE_ROW)
#undef CHAINRULE_ROW
};

template <class T>
void evaluate(Function f, T* y, const T* x, std::ptrdiff_t n) {
  kFunctions<T>[static_cast<int>(f)](y, x, n);
}
