// One function per loss: delta = dC/da and each row's share of the cost, summed in double in
// index order, so that the cost has the same bits everywhere and a small error for any m.

template <class T>
void mse(int rows, int cols, const T* a, const T* y, std::ptrdiff_t ld, T scale, T* delta,
         double* row_cost) {
  for (int i = 0; i < rows; ++i) {
    const T* ai = a + i * ld;
    const T* yi = y + i * ld;
    double sum = 0;
    for (int j = 0; j < cols; ++j) {
      const T e = ai[j] - yi[j];
      sum = fma_scalar(e, e, sum);  // (MSE) before the 1 / (m n_L)
    }
    row_cost[i] = sum;
    if (delta == nullptr) continue;
    for (int j = 0; j < cols; j += kLanes<T>)  // dC/da = 2 / (m n_L) (a - y)
      store<T>(delta + i * ld + j, (load(ai + j) - load(yi + j)) * scale);
  }
}

// Samples as columns. Lanes are samples, so each row_cost is the same chain.
template <class T>
void mse_columns(int outputs, int samples, const T* a, const T* y, std::ptrdiff_t ld, T scale,
                 T* delta, double* row_cost) {
  constexpr int n = kLanes<T>;
  for (int i = 0; i < samples; i += n) {
    double sum[n] = {};
    for (int j = 0; j < outputs; ++j) {
      const Vec<T> e = load(a + j * ld + i) - load(y + j * ld + i);
      for (int lane = 0; lane < n; ++lane) sum[lane] = fma_scalar(e[lane], e[lane], sum[lane]);
      if (delta != nullptr) store<T>(delta + j * ld + i, e * scale);
    }
    const int left = samples - i < n ? samples - i : n;
    for (int lane = 0; lane < left; ++lane) row_cost[i + lane] = sum[lane];
  }
}
