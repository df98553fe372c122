// Dropout: a mask that is a pure function of (key, sample, unit), so that nothing is stored and
// every number of threads, way and instruction set drops the same units.

// 24 bits: two rounds of multiplications and shifts, with a half of the key before each.
template <class T>
CHAINRULE_INLINE typename Simd<T>::Number hash(typename Simd<T>::Bits x, const std::uint32_t* key) {
  for (int round = 0; round < 2; ++round) {
    x ^= key[round];
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    x ^= x >> 16;
  }
  return reinterpret_cast<typename Simd<T>::Number>(x >> 8);
}

template <class T>
void drop(const Drop<T>& how, int rows, int cols, const T* a, T* out, std::ptrdiff_t ld) {
  constexpr int n = kLanes<T>;
  typename Simd<T>::Bits lanes;
  for (int lane = 0; lane < n; ++lane)
    lanes[lane] = static_cast<std::uint32_t>(lane) * how.col_step;
  for (int i = 0; i < rows; ++i) {
    const std::uint32_t row = how.row + static_cast<std::uint32_t>(i) * how.row_step;
    for (int k = 0; k < cols; k += n) {
      const std::uint32_t first = row + how.col + static_cast<std::uint32_t>(k) * how.col_step;
      const auto kept = hash<T>(lanes + first, how.key) >= how.bound;
      const std::ptrdiff_t at = i * ld + k;
      store<T>(out + at, select<T>(__builtin_convertvector(kept, Int<T>), load(a + at) * how.scale,
                                   Vec<T>{}));
    }
  }
}
