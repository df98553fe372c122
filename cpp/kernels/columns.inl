// Samples as columns: the products of narrow layers, where vectors along the units would be mostly
// padding. The same register tile: W stands on the left where it lies in theta, lanes are samples.

template <class T>
void forward_columns(int outputs, int inputs, int samples, const T* W, const T* x,
                     std::ptrdiff_t ld_x, Activation f, T* z, T* a, std::ptrdiff_t ld) {
  const std::ptrdiff_t n_out = outputs;
  const ForwardEpilogue<T, true> epilogue{W + inputs * n_out, 0, f, z, a, ld};
  product(outputs, inputs, samples, W, n_out, Right<T>{x, ld_x, kPanel<T>}, epilogue);
}

// A tile in memory, without what lies behind `end`.
template <class T>
__attribute__((noinline)) void write_until(const T* end, const Vec<T>* tile, int rows, int vectors,
                                           T* C, std::ptrdiff_t ld) {
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      T* const to = C + r * ld + v * kLanes<T>;
      const std::ptrdiff_t left = end - to;
      if (left >= kLanes<T>)
        store<T>(to, tile[r * vectors + v]);
      else if (left > 0)
        store_part<T>(to, tile[r * vectors + v], static_cast<int>(left));
    }
}

// Rows of `ld` elements without padding, none after `end`: what a whole vector writes too much of a
// row is the beginning of rows below, which are written later (see multiply_exactly).
template <class T>
struct ExactEpilogue {
  static constexpr bool kTransposed = false;
  T* out;
  std::ptrdiff_t ld;
  const T* end_of_out;

  template <int MR, int NV>
  CHAINRULE_INLINE void begin(Tile<T, MR, NV>& tile, int, int) const {
    tile.set_zero();
  }

  template <int MR, int NV>
  CHAINRULE_INLINE void end(Tile<T, MR, NV>& tile, int i, int j) const {
    T* const C = out + i * ld + j;
    if (end_of_out - (C + (MR - 1) * ld) >= NV * kLanes<T>) {
      tile.write(C, ld);
      return;
    }
    Tile<T, MR, NV> copy = tile;  // with an address, which the tile in registers must not have
    write_until(end_of_out, &copy.c[0][0], MR, NV, C, ld);
  }
};

// C = A B, (rows x cols) without padding; element (k, j) of B is at B[j * ld + k]. A panel of it is
// turned around when its turn comes and used while it is in L1; the last one comes first, for its
// excess.
template <class T>
void multiply_exactly(int rows, int depth, int cols, const T* A, const T* B, std::ptrdiff_t ld,
                      T* panel, T* C) {
  const Tiling tiling(rows);
  const std::ptrdiff_t size = static_cast<std::ptrdiff_t>(rows) * cols;
  const ExactEpilogue<T> epilogue{C, cols, C + size};
  for (int j = (cols - 1) / kPanel<T> * kPanel<T>; j >= 0; j -= kPanel<T>) {
    copy_panel_transposed(panel, depth, cols - j, B + j * ld, ld);
    const auto& tile = kTiles<T, ExactEpilogue<T>>.of[cols - j > kLanes<T> ? 1 : 0];
    for (int t = 0; t < tiling.tiles; ++t) {
      const int i = tiling.row(t);
      tile[tiling.height(t) - 1](depth, A + i * ld, ld, panel, kPanel<T>, true, true, epilogue, i,
                                 j, {});
    }
  }
}

// With so few outputs vectors lie along the inputs.
template <class T>
bool along_inputs(int inputs, int outputs) {
  return 2 * outputs <= kLanes<T> && outputs < inputs;
}

template <class T>
std::ptrdiff_t gradient_scratch(int inputs, int outputs, int samples) {
  const std::ptrdiff_t panel = static_cast<std::ptrdiff_t>(samples) * kPanel<T>;
  return panel + (along_inputs<T>(inputs, outputs) && outputs > 1 ? inputs * outputs : 0);
}

template <class T>
void gradient_columns(int inputs, int outputs, int samples, const T* a, const T* delta,
                      std::ptrdiff_t ld, T* dW, T* scratch) {
  if (!along_inputs<T>(inputs, outputs)) {
    multiply_exactly(inputs, samples, outputs, a, delta, ld, scratch, dW);
    return;
  }
  T* const flat = outputs == 1 ? dW : scratch + static_cast<std::ptrdiff_t>(samples) * kPanel<T>;
  multiply_exactly(outputs, samples, inputs, delta, a, ld, scratch, flat);
  if (outputs == 1) return;
  for (int k = 0; k < inputs; ++k)
    for (int j = 0; j < outputs; ++j) dW[k * outputs + j] = flat[j * inputs + k];
}

template <int N, class T>
void gather_few(T* to, std::ptrdiff_t ld, const T* rows, const std::int64_t* order, int samples) {
  const auto put = [=](int i, std::ptrdiff_t row) CHAINRULE_LAMBDA {
    for (int k = 0; k < N; ++k) to[k * ld + i] = rows[row * N + k];
  };
  if (order == nullptr)
    for (int i = 0; i < samples; ++i) put(i, i);
  else
    for (int i = 0; i < samples; ++i) put(i, order[i]);
}

// A square at a time through registers. A short row is read past its end, into the next one, unless
// nothing comes after it.
template <class T>
void gather(T* to, std::ptrdiff_t ld, const T* rows, const T* end, const std::int64_t* order, int n,
            int samples) {
  constexpr int lanes = kLanes<T>;
  if (n == 1) return gather_few<1>(to, ld, rows, order, samples);
  if (n == 2) return gather_few<2>(to, ld, rows, order, samples);
  if (n == 3) return gather_few<3>(to, ld, rows, order, samples);
  if (n == 4) return gather_few<4>(to, ld, rows, order, samples);
  const auto row = [&](int i)
                       CHAINRULE_LAMBDA { return rows + (order != nullptr ? order[i] : i) * n; };
  for (int i = 0; i < samples; i += lanes)
    for (int k = 0; k < n; k += lanes) {
      const int height = n - k < lanes ? n - k : lanes;
      Vec<T> square[lanes];
#pragma GCC unroll 16
      for (int c = 0; c < lanes; ++c) {
        const T* from = row(i + c < samples ? i + c : samples - 1) + k;
        square[c] = end - from >= lanes ? load(from) : load_part(from, height);
      }
      transpose<T>(square);
      store_square<T>(square, to + k * ld + i, ld, height);
    }
}

template <class T>
void scatter(T* rows, const T* from, std::ptrdiff_t ld, int n, int samples) {
  for (int i = 0; i < samples; ++i)
    for (int k = 0; k < n; ++k) rows[static_cast<std::ptrdiff_t>(i) * n + k] = from[k * ld + i];
}
