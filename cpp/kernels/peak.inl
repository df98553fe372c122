// The roof under which every figure stands: as many independent chains of multiply-adds as a
// register tile has, with nothing else to do.

template <class T>
double fma_peak(long rounds, T* sink) {
  constexpr int chains = 12;
  Vec<T> c[chains];
  for (int i = 0; i < chains; ++i) c[i] = broadcast(static_cast<T>(i));
  const Vec<T> a = broadcast(sink[0]), b = broadcast(sink[1]);
  for (long r = 0; r < rounds; ++r) {
    for (int i = 0; i < chains; ++i) c[i] = fma<T>(c[i], a, b);
  }
  Vec<T> sum = c[0];
  for (int i = 1; i < chains; ++i) sum = sum + c[i];
  store<T>(sink, sum);
  return 2.0 * chains * kLanes<T> * static_cast<double>(rounds);
}
