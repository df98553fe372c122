// One row per update rule, over flat ranges of parameters: w = theta, g = the slope dC/dtheta, s
// the state. Square roots and divisions are correctly rounded, and no sum has two products, of
// which the compiler could fuse the one or the other: so every instruction set has the same bits.

template <class T, Rule R>
struct RuleRow;

// (GD) theta = theta - rate dC/dtheta
template <class T>
struct RuleRow<T, Rule::sgd> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>*, Vec<T> g) {
    w = fma<T>(broadcast(-u.rate), g, w);
  }
};

// v = mu v + g, theta = theta - rate v
template <class T>
struct RuleRow<T, Rule::momentum> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    s[0] = fma<T>(broadcast(u.momentum), s[0], g);
    w = fma<T>(broadcast(-u.rate), s[0], w);
  }
};

// v = mu v + g, theta = theta - rate (g + mu v)
template <class T>
struct RuleRow<T, Rule::nesterov> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    s[0] = fma<T>(broadcast(u.momentum), s[0], g);
    w = fma<T>(broadcast(-u.rate), fma<T>(broadcast(u.momentum), s[0], g), w);
  }
};

// q = alpha q + (1 - alpha) g^2 = q + (1 - alpha) (g^2 - q), which is never negative
template <class T>
CHAINRULE_INLINE Vec<T> mean_square(const Update<T>& u, Vec<T> q, Vec<T> g) {
  return fma<T>(broadcast(u.smooth_gain), fma<T>(g, g, -q), q);
}

// q = alpha q + (1 - alpha) g^2, theta = theta - rate g / (sqrt(q) + eps)
template <class T>
struct RuleRow<T, Rule::rmsprop> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    s[0] = mean_square<T>(u, s[0], g);
    w = fma<T>(broadcast(-u.rate), g / (sqrt<T>(s[0]) + broadcast(u.epsilon)), w);
  }
};

// The same with v = mu v + g / (sqrt(q) + eps), theta = theta - rate v
template <class T>
struct RuleRow<T, Rule::rmsprop_momentum> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    s[0] = mean_square<T>(u, s[0], g);
    s[1] = fma<T>(broadcast(u.momentum), s[1], g / (sqrt<T>(s[0]) + broadcast(u.epsilon)));
    w = fma<T>(broadcast(-u.rate), s[1], w);
  }
};

// v = beta_1 v + (1 - beta_1) g, q = beta_2 q + (1 - beta_2) g^2,
// theta = theta - rate v' / (sqrt(q') + eps) with v' = v / (1 - beta_1^t), q' = q / (1 - beta_2^t)
template <class T>
struct RuleRow<T, Rule::adam> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    s[0] = fma<T>(broadcast(u.gain), g - s[0], s[0]);
    s[1] = mean_square<T>(u, s[1], g);
    const Vec<T> root = fma<T>(sqrt<T>(s[1]), broadcast(u.smooth_correct), broadcast(u.epsilon));
    w = fma<T>(broadcast(-(u.rate * u.correct)), s[0] / root, w);
  }
};

// adam, after theta = theta - rate decay theta (see `prepare`)
template <class T>
struct RuleRow<T, Rule::adamw> : RuleRow<T, Rule::adam> {};

// A step size h for each parameter: times eta+ while the slope keeps its sign, times eta- and no
// move when it changes; theta = theta - sign(g) h. s[0] is the slope before.
template <class T>
struct RuleRow<T, Rule::rprop> {
  static CHAINRULE_INLINE void step(const Update<T>& u, Vec<T>& w, Vec<T>* s, Vec<T> g) {
    const Vec<T> zero{}, same = sign<T>(g) * sign<T>(s[0]);
    const Vec<T> factor = select<T>(same > zero, broadcast(u.grow),
                                    select<T>(same < zero, broadcast(u.shrink), broadcast(T(1))));
    s[1] = at_most<T>(at_least<T>(s[1] * factor, u.least), u.most);
    s[0] = select<T>(same < zero, zero, g);
    w = w - sign<T>(s[0]) * s[1];
  }
};

// What comes before the rule: penalties, scale, clip, decay. Weight decay adds to the slope (an L2
// penalty of decay / 2 per parameter); adamw takes it from theta instead.
template <class T, Rule R>
CHAINRULE_INLINE Vec<T> prepare(const Update<T>& u, Vec<T>& w, Vec<T> g) {
  g = fma<T>(broadcast(u.l1), sign<T>(w), fma<T>(broadcast(u.l2), w, g));
  g = at_least<T>(at_most<T>(g * broadcast(u.scale), u.clip), -u.clip);
  if (R == Rule::adamw) {
    w = fma<T>(broadcast(-(u.rate * u.decay)), w, w);
    return g;
  }
  return fma<T>(broadcast(u.decay), w, g);
}

template <class T, Rule R, int kStates, bool kPlain>
bool update_by(const Update<T>& u, T* theta, T* const* state, const T* slope, std::ptrdiff_t n) {
  Int<T> finite = ~Int<T>{};
  const Vec<T> largest = broadcast(Constants<T>::largest);
  const auto one = [&](std::ptrdiff_t i, const auto& get, const auto& put) CHAINRULE_LAMBDA {
    Vec<T> w = get(theta + i), g = get(slope + i), s[kStates > 0 ? kStates : 1];
    for (int k = 0; k < kStates; ++k) s[k] = get(state[k] + i);
    if (!kPlain) g = prepare<T, R>(u, w, g);
    RuleRow<T, R>::step(u, w, s, g);
    put(theta + i, w);
    for (int k = 0; k < kStates; ++k) put(state[k] + i, s[k]);
    finite &= abs<T>(w) <= largest;
  };
  std::ptrdiff_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>)
    one(
        i, [](const T* p) CHAINRULE_LAMBDA { return load(p); },
        [](T* p, Vec<T> x) CHAINRULE_LAMBDA { store<T>(p, x); });
  const int rest = static_cast<int>(n - i);
  if (rest > 0)
    one(
        i, [=](const T* p) CHAINRULE_LAMBDA { return load_part(p, rest); },
        [=](T* p, Vec<T> x) CHAINRULE_LAMBDA { store_part<T>(p, x, rest); });
  bool all = true;
  for (int lane = 0; lane < kLanes<T>; ++lane) all = all && finite[lane] != 0;
  return all;
}

template <class T>
bool update(const Update<T>& u, T* theta, T* const* state, const T* g, std::ptrdiff_t n) {
  const bool plain =
      u.decay == 0 && u.scale == 1 && u.clip > Constants<T>::largest && u.l1 == 0 && u.l2 == 0;
  switch (u.rule) {
#define CHAINRULE_ROW(name, states)                                              \
  case Rule::name:                                                               \
    return plain ? update_by<T, Rule::name, states, true>(u, theta, state, g, n) \
                 : update_by<T, Rule::name, states, false>(u, theta, state, g, n);
    CHAINRULE_RULES(CHAINRULE_ROW)
#undef CHAINRULE_ROW
    default:
      return false;
  }
}

template <class T>
void add(T* sum, const T* term, std::ptrdiff_t n) {
  std::ptrdiff_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(sum + i, load(sum + i) + load(term + i));
  for (; i < n; ++i) sum[i] += term[i];
}

template <class T>
CHAINRULE_INLINE Vec<double> load_doubles(const T* from) {
  constexpr int bytes = kLanes<double> * static_cast<int>(sizeof(T));
  typedef T Part __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Part*>(from), Vec<double>);
}

// Sixteen sums side by side, whatever the width of a vector, then in order.
template <class T>
void sums(const T* x, std::ptrdiff_t n, double* absolute, double* squares) {
  constexpr int kSums = 16, kVectors = kSums / kLanes<double>;
  Vec<double> a[kVectors] = {}, s[kVectors] = {};
  const auto add = [&](const T* from) CHAINRULE_LAMBDA {
    unrolled<kVectors>([&](auto k) CHAINRULE_LAMBDA {
      const Vec<double> v = load_doubles(from + k * kLanes<double>);
      a[k] += abs<double>(v);
      s[k] = fma<double>(v, v, s[k]);
    });
  };
  std::ptrdiff_t i = 0;
  for (; i + kSums <= n; i += kSums) add(x + i);
  if (i < n) {
    T rest[kSums] = {};
    for (int k = 0; i + k < n; ++k) rest[k] = x[i + k];
    add(rest);
  }
  *absolute = *squares = 0;
  for (int k = 0; k < kSums; ++k) {
    *absolute += a[k / kLanes<double>][k % kLanes<double>];
    *squares += s[k / kLanes<double>][k % kLanes<double>];
  }
}

// By the largest magnitude in the order of the bits, where NaN is above infinity.
template <class T>
bool finite(const T* x, std::ptrdiff_t n) {
  constexpr int kVectors = 4;  // side by side: none waits for the other
  Vec<T> top[kVectors] = {};
  const auto look = [&](int k, Vec<T> at)
                        CHAINRULE_LAMBDA { top[k] = magnitude_at_least<T>(top[k], abs<T>(at)); };
  std::ptrdiff_t i = 0;
  for (; i + kVectors * kLanes<T> <= n; i += kVectors * kLanes<T>)
    unrolled<kVectors>([&](auto k) CHAINRULE_LAMBDA { look(k, load(x + i + k * kLanes<T>)); });
  for (; i + kLanes<T> <= n; i += kLanes<T>) look(0, load(x + i));
  if (i < n) look(1, load_part(x + i, static_cast<int>(n - i)));
  for (int k = 1; k < kVectors; ++k) top[0] = magnitude_at_least<T>(top[0], top[k]);
  bool all = true;
  for (int lane = 0; lane < kLanes<T>; ++lane) all = all && top[0][lane] <= Constants<T>::largest;
  return all;
}
