// One function per update rule, over flat ranges of parameters.

// v = momentum v + dC/dtheta, w = theta. Without a velocity v is the slope itself.
template <class T>
CHAINRULE_INLINE void update(Vec<T>& w, Vec<T>& v, Vec<T> slope, T rate, T momentum) {
  v = fma<T>(broadcast(momentum), v, slope);
  w = fma<T>(broadcast(-rate), v, w);  // (GD) theta = theta - rate v
}

template <class T, bool kVelocity>
bool descend_by(T* theta, T* velocity, const T* g, std::ptrdiff_t n, T rate, T momentum) {
  Int<T> finite = ~Int<T>{};
  const Vec<T> largest = broadcast(Constants<T>::largest);
  std::ptrdiff_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    Vec<T> w = load(theta + i);
    Vec<T> v = kVelocity ? load(velocity + i) : Vec<T>{};
    update<T>(w, v, load(g + i), rate, momentum);
    store<T>(theta + i, w);
    if (kVelocity) store<T>(velocity + i, v);
    finite &= abs<T>(w) <= largest;
  }
  const int rest = static_cast<int>(n - i);
  if (rest > 0) {
    Vec<T> w = load_part(theta + i, rest);
    Vec<T> v = kVelocity ? load_part(velocity + i, rest) : Vec<T>{};
    update<T>(w, v, load_part(g + i, rest), rate, momentum);
    store_part<T>(theta + i, w, rest);
    if (kVelocity) store_part<T>(velocity + i, v, rest);
    finite &= abs<T>(w) <= largest;
  }
  bool all = true;
  for (int lane = 0; lane < kLanes<T>; ++lane) all = all && finite[lane] != 0;
  return all;
}

template <class T>
bool descend(T* theta, T* velocity, const T* g, std::ptrdiff_t n, T rate, T momentum) {
  return velocity != nullptr ? descend_by<T, true>(theta, velocity, g, n, rate, momentum)
                             : descend_by<T, false>(theta, velocity, g, n, rate, momentum);
}

template <class T>
void add(T* sum, const T* term, std::ptrdiff_t n) {
  std::ptrdiff_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store<T>(sum + i, load(sum + i) + load(term + i));
  for (; i < n; ++i) sum[i] += term[i];
}
