// Packing and the three products of a dense layer: forward (Z, A), backward (BP2), gradient (BP4).
// All run on one register tile: vectors lie along the columns of the right operand, elements of
// the left operand are broadcast, and the sum runs in index order, so no bit of a result depends
// on the tile it fell in. BLAS's m, n, k are called rows, cols, depth here.

template <class T>
constexpr int kPanel = 2 * kLanes<T>;
constexpr int kRowTile = CHAINRULE_ROW_TILE;

// Depth of one pass of a long sum: a panel of B, 384 rows of 128 bytes, is 48 KiB and stays in L2
// while all row tiles pass over it; the chain goes on from the partial sums in memory.
constexpr int kDepthBlock = 384;

template <class T>
constexpr int kLine = 64 / static_cast<int>(sizeof(T));
template <class T>
int lines_of(int n) {
  return (n + kLine<T> - 1) / kLine<T>;
}

// What a tile calls into L2 while it sums: some lines of a row, then of the next. Called all at
// once they would wait for each other, and the tiles for them.
template <class T>
struct Ahead {
  const T* p = nullptr;
  std::ptrdiff_t rs = 0;
  int rows = 0, lines = 0;

  // body(terms) until `depth` of them are done, a row of lines after each.
  template <class Body>
  CHAINRULE_INLINE void along(int depth, const Body& body) {
    const int part = rows == 0 ? depth : (depth + rows - 1) / rows;
    for (int left = depth; left > 0; left -= part) {
      body(left < part ? left : part);
      call();
    }
  }
  CHAINRULE_INLINE void call() {
    if (rows == 0) return;
    constexpr int kL2 = 2;
    for (int i = 0; i < lines; ++i) __builtin_prefetch(p + i * kLine<T>, 0, kL2);
    p += rs;
  }
};

struct NothingAhead {
  template <class Body>
  CHAINRULE_INLINE void along(int depth, const Body& body) {
    body(depth);
  }
};

template <class T, int MR, int NV>
struct Tile {
  Vec<T> c[MR][NV];

  // body(c[i][v], p) with p at the place of c[i][v] in a matrix with rows of ld elements. One
  // pointer walks down: offsets of all places at once would fill the integer registers.
  template <class P, class Body>
  CHAINRULE_INLINE void for_each(P* p, std::ptrdiff_t ld, const Body& body) {
    unrolled<MR>([&](auto i) CHAINRULE_LAMBDA {
      unrolled<NV>([&](auto v) CHAINRULE_LAMBDA { body(c[i][v], p + v * kLanes<T>); });
      p += ld;
      CHAINRULE_KEEP_POINTER(p);
    });
  }

  CHAINRULE_INLINE void set_zero() {
    unrolled<MR>([&](auto i) CHAINRULE_LAMBDA {
      unrolled<NV>([&](auto v) CHAINRULE_LAMBDA { c[i][v] = Vec<T>{}; });
    });
  }
  CHAINRULE_INLINE void set_rows(const T* row) {
    unrolled<NV>([&](auto v) CHAINRULE_LAMBDA {
      const Vec<T> b = load(row + v * kLanes<T>);
      unrolled<MR>([&](auto i) CHAINRULE_LAMBDA { c[i][v] = b; });
    });
  }
  CHAINRULE_INLINE void set_columns(const T* column) {
    unrolled<MR>([&](auto i) CHAINRULE_LAMBDA {
      const Vec<T> b = broadcast(column[i]);
      unrolled<NV>([&](auto v) CHAINRULE_LAMBDA { c[i][v] = b; });
    });
  }
  CHAINRULE_INLINE void read(const T* C, std::ptrdiff_t ld) {
    for_each(C, ld, [](Vec<T>& e, const T* p) CHAINRULE_LAMBDA { e = load(p); });
  }
  CHAINRULE_INLINE void write(T* C, std::ptrdiff_t ld) {
    for_each(C, ld, [](Vec<T>& e, T* p) CHAINRULE_LAMBDA { store<T>(p, e); });
  }
  // c[i][.] += sum_k A(i, k) B(k, .), where A(i, k) is A[i * ld + k] or, transposed, A[k * ld + i].
  template <bool kTransposed, class Calls>
  CHAINRULE_INLINE void multiply_add(int depth, const T* A, std::ptrdiff_t ld, const T* B,
                                     std::ptrdiff_t rs_B, Calls ahead) {
    if constexpr (kTransposed) {
      ahead.along(depth, [&](int terms) CHAINRULE_LAMBDA {
        for (int k = 0; k < terms; ++k, A += ld, B += rs_B)
          one_term(B, [=](int i) CHAINRULE_LAMBDA { return A[i]; });
      });
    } else {
      // A pointer to every fourth row: with one for each, or with one and an offset for each, the
      // integer registers do not suffice and the loop reloads them.
      constexpr int kGroups = (MR + 3) / 4;
      const T* rows[kGroups];
      unrolled<kGroups>([&](auto g) CHAINRULE_LAMBDA { rows[g] = A + 4 * g * ld; });
      const std::ptrdiff_t ld3 = 3 * ld;
      ahead.along(depth, [&](int terms) CHAINRULE_LAMBDA {
        for (int k = 0; k < terms; ++k, B += rs_B) {
          one_term(B, [&](auto i) CHAINRULE_LAMBDA {
            const T* row = rows[i / 4];
            return i % 4 == 0 ? row[0] : i % 4 == 1 ? row[ld] : i % 4 == 2 ? row[2 * ld] : row[ld3];
          });
          unrolled<kGroups>([&](auto g) CHAINRULE_LAMBDA {
            ++rows[g];
            CHAINRULE_KEEP_POINTER(rows[g]);
          });
        }
      });
    }
  }

  template <class Element>
  CHAINRULE_INLINE void one_term(const T* B, const Element& element) {
    Vec<T> b[NV];
    unrolled<NV>([&](auto v) CHAINRULE_LAMBDA { b[v] = load(B + v * kLanes<T>); });
    unrolled<MR>([&](auto i) CHAINRULE_LAMBDA {
      const Vec<T> a = broadcast(element(i));
      unrolled<NV>([&](auto v) CHAINRULE_LAMBDA { c[i][v] = fma<T>(a, b[v], c[i][v]); });
    });
  }
};

// What a product does with a tile before and after its sum. `begin` is called on the first pass of
// a long sum, `end` on the last; between passes the partial sums lie in `out`. kTransposed tells
// how the left operand lies. Samples are rows, or columns.
template <class T, bool kColumns>
struct ForwardEpilogue {
  static constexpr bool kTransposed = kColumns;
  const T* bias;
  std::ptrdiff_t bias_stride;  // from panel to panel, where samples are rows
  Activation f;
  T* z;
  T* out;
  std::ptrdiff_t ld;

  template <int MR, int NV>
  CHAINRULE_INLINE void begin(Tile<T, MR, NV>& tile, int i, int j) const {
    if constexpr (kColumns)
      tile.set_columns(bias + i);
    else
      tile.set_rows(bias + j / kPanel<T> * bias_stride);
  }

  template <int MR, int NV>
  CHAINRULE_INLINE void end(Tile<T, MR, NV>& tile, int i, int j) const {
    T* a = out + i * ld + j;
    if (z != nullptr) tile.write(z + i * ld + j, ld);
    if (f == Activation::relu)
      tile.for_each(a, 0,
                    [](Vec<T>& e, T*) CHAINRULE_LAMBDA { e = Row<T, Activation::relu>::f(e); });
    tile.write(a, ld);
    if (f != Activation::relu && f != Activation::identity)
      kActivations<T>[static_cast<int>(f)].activate(MR, NV * kLanes<T>, a, ld);
  }
};

template <class T>
struct BackwardEpilogue {
  static constexpr bool kTransposed = false;
  Activation f;
  const T* z;
  const T* a;
  T* out;
  std::ptrdiff_t ld;

  template <int MR, int NV>
  CHAINRULE_INLINE void begin(Tile<T, MR, NV>& tile, int, int) const {
    tile.set_zero();
  }

  template <int MR, int NV>
  CHAINRULE_INLINE void end(Tile<T, MR, NV>& tile, int i, int j) const {
    const std::ptrdiff_t at = i * ld + j;
    if (f == Activation::relu) derive<Activation::relu>(tile, a + at);
    if (f == Activation::tanh) derive<Activation::tanh>(tile, a + at);
    tile.write(out + at, ld);
    if (f != Activation::relu && f != Activation::tanh && f != Activation::identity)
      kActivations<T>[static_cast<int>(f)].derive(MR, NV * kLanes<T>, out + at,
                                                  z != nullptr ? z + at : nullptr, a + at, ld);
  }
  // Of the most frequent ones, in registers.
  template <Activation F, int MR, int NV>
  CHAINRULE_INLINE void derive(Tile<T, MR, NV>& tile, const T* kept_a) const {
    tile.for_each(kept_a, ld, [](Vec<T>& e, const T* p) CHAINRULE_LAMBDA {
      const Vec<T> kept = load(p);
      e = e * Row<T, F>::df(kept, kept);
    });
  }
};

template <class T>
struct GradientEpilogue {
  static constexpr bool kTransposed = true;
  bool add;
  T* out;
  std::ptrdiff_t ld;

  template <int MR, int NV>
  CHAINRULE_INLINE void begin(Tile<T, MR, NV>& tile, int, int) const {
    tile.set_zero();
  }

  template <int MR, int NV>
  CHAINRULE_INLINE void end(Tile<T, MR, NV>& tile, int i, int j) const {
    T* dW = out + i * ld + j;
    if (add) tile.for_each(dW, ld, [](Vec<T>& e, T* p) CHAINRULE_LAMBDA { e = load(p) + e; });
    tile.write(dW, ld);
  }
};

// One pass over `depth` terms for all tiles of one panel of columns.
template <class T, int MR, int NV, class Epilogue, class Calls>
void one_tile(int depth, const T* A, std::ptrdiff_t ld_A, const T* B, std::ptrdiff_t rs_B,
              bool first, bool last, const Epilogue& epilogue, int i, int j, Calls ahead) {
  Tile<T, MR, NV> tile;
  if (first)
    epilogue.begin(tile, i, j);
  else
    tile.read(epilogue.out + i * epilogue.ld + j, epilogue.ld);
  tile.template multiply_add<Epilogue::kTransposed>(depth, A, ld_A, B, rs_B, ahead);
  if (last)
    epilogue.end(tile, i, j);
  else
    tile.write(epilogue.out + i * epilogue.ld + j, epilogue.ld);
}

template <class T, class Epilogue, class Calls = NothingAhead>
using TileFunction = void (*)(int, const T*, std::ptrdiff_t, const T*, std::ptrdiff_t, bool, bool,
                              const Epilogue&, int, int, Calls);

// kTiles[NV - 1][MR - 1], every number of rows that a tile can have, so that no tail wastes one.
template <class T, class Epilogue, class Calls = NothingAhead>
struct TileTable {
  TileFunction<T, Epilogue, Calls> of[2][kRowTile];

  template <int MR>
  constexpr void fill() {
    of[0][MR - 1] = one_tile<T, MR, 1, Epilogue, Calls>;
    of[1][MR - 1] = one_tile<T, MR, 2, Epilogue, Calls>;
    if constexpr (MR > 1) fill<MR - 1>();
  }
  constexpr TileTable() : of{} { fill<kRowTile>(); }
};

template <class T, class Epilogue, class Calls = NothingAhead>
constexpr TileTable<T, Epilogue, Calls> kTiles{};

// Rows in tiles of nearly equal height: the first `taller` have one row more than the others.
struct Tiling {
  int tiles, base, taller;

  explicit Tiling(int rows)
      : tiles((rows + kRowTile - 1) / kRowTile),
        base(tiles == 1 ? rows : rows / tiles),
        taller(rows - base * tiles) {}
  int height(int t) const { return t < taller ? base + 1 : base; }
  int row(int t) const { return t * base + (t < taller ? t : taller); }
};

// A panel side by side: what lies on `depth` pages, and in a few cache sets, becomes one stream.
template <class T>
void copy_panel(T* to, int depth, const T* from, std::ptrdiff_t rs) {
  for (int k = 0; k < depth; ++k)
    for (int v = 0; v < kPanel<T>; v += kLanes<T>)
      store<T>(to + k * kPanel<T> + v, load(from + k * rs + v));
}

// The same from a matrix whose rows are columns here: element (k, j) at from[k + j * cs].
template <class T>
void copy_panel_transposed(T* to, int depth, int cols, const T* from, std::ptrdiff_t cs) {
  constexpr int n = kLanes<T>;
  for (int j = 0; j < kPanel<T> && j < cols; j += n) {
    if (cols - j == 1) {  // such as the row of ones below whole vectors of units
      for (int k = 0; k < depth; ++k) store<T>(to + k * kPanel<T> + j, Vec<T>{from[j * cs + k]});
      return;
    }
    for (int k = 0; k < depth; k += n) {
      Vec<T> square[n];
      unrolled<n>([&](auto c) CHAINRULE_LAMBDA {
        square[c] = j + c < cols ? load(from + (j + c) * cs + k) : Vec<T>{};
      });
      transpose<T>(square);
      store_square<T>(square, to + k * kPanel<T> + j, kPanel<T>, depth - k);
    }
  }
}

// Copies of operands of dW pay when many panels meet the same rows, or many tiles the same panel.
constexpr int kPanelsForCopy = 4;
constexpr int kTilesForCopy = 4;
template <class T>
constexpr std::ptrdiff_t kRowsFarApart = 1024 / static_cast<std::ptrdiff_t>(sizeof(T));
template <class T>
constexpr std::ptrdiff_t kPageOf = 4096 / static_cast<std::ptrdiff_t>(sizeof(T));

// Columns that the rows meet together: their part of a right operand, 192 KiB, stays in L2 while
// the rows pass once.
template <class T>
constexpr int kGroup = 512 / static_cast<int>(sizeof(T));
static_assert(kGroup<float> % kPanel<float> == 0 && kGroup<double> % kPanel<double> == 0);

// A right operand in the pieces in which a product meets it: for each group of columns kDepthBlock
// terms after the other, so that the partial sums stay in L2 too.
template <class T>
struct Pieces {
  Right<T> B;
  int depth, cols, passes, count;

  Pieces(int depth, int cols, Right<T> B)
      : B(B),
        depth(depth),
        cols(cols),
        passes(depth <= kDepthBlock ? 1 : (depth + kDepthBlock - 1) / kDepthBlock),
        count((cols + kGroup<T> - 1) / kGroup<T> * passes) {}
  // Most products have one piece, and a division takes as long as a tile's first terms.
  int first_term(int piece) const { return piece == 0 ? 0 : piece % passes * kDepthBlock; }
  int first_column(int piece) const { return piece == 0 ? 0 : piece / passes * kGroup<T>; }
  int terms(int piece) const {
    const int left = depth - first_term(piece);
    return left < kDepthBlock ? left : kDepthBlock;
  }
  bool is_last_pass(int piece) const { return depth - first_term(piece) <= kDepthBlock; }
  int end_column(int piece) const {
    const int end = first_column(piece) + kGroup<T>;
    return end < cols ? end : cols;
  }
  const T* at(int term, int column) const {
    return B.transposed ? B.p + column * B.rs + term
                        : B.p + column / kPanel<T> * B.panel_stride + term * B.rs;
  }

  // Terms begin to end of a piece, each panel side by side.
  void copy(T* to, int piece, int begin, int end) const {
    if (piece >= count || begin >= end) return;
    for (int j = first_column(piece); j < end_column(piece);
         j += kPanel<T>, to += kDepthBlock * kPanel<T>) {
      const T* from = at(first_term(piece) + begin, j);
      if (B.transposed)
        copy_panel_transposed(to + begin * kPanel<T>, end - begin, cols - j, from, B.rs);
      else
        copy_panel(to + begin * kPanel<T>, end - begin, from, B.rs);
    }
  }
  // Of these terms what lies in the panel of columns j of the group, to be called into cache.
  Ahead<T> ahead(int piece, int begin, int end, int j) const {
    if (piece >= count || begin >= end) return {};
    const int column = first_column(piece) + j, left = cols - column;
    if (left <= 0) return {};
    const int columns = left < kPanel<T> ? left : kPanel<T>;
    const int height = end - begin;
    return {at(first_term(piece) + begin, column), B.rs, B.transposed ? columns : height,
            lines_of<T>(B.transposed ? height : columns)};
  }
};

// C = A B in tiles. With kCopy each piece of B is copied first: a portion after each row of tiles
// of the piece before it, and the tiles call the portion after that into cache as they go, so that
// none waits for memory.
template <bool kCopy, class T, class Epilogue>
void product_of(int rows, const T* A, std::ptrdiff_t ld_A, const Pieces<T>& pieces,
                const Epilogue& epilogue) {
  const Tiling tiling(rows);
  alignas(kPad) T copies[2][kCopy ? kDepthBlock * kGroup<T> : 1];
  if constexpr (kCopy) pieces.copy(copies[0], 0, 0, pieces.terms(0));
  for (int piece = 0; piece < pieces.count; ++piece) {
    const int k = pieces.first_term(piece), terms = pieces.terms(piece);
    const int first = pieces.first_column(piece), end = pieces.end_column(piece);
    const bool is_first = k == 0, is_last = pieces.is_last_pass(piece);
    const int next = piece + 1 < pieces.count ? pieces.terms(piece + 1) : 0;
    const int portion = ((next + tiling.tiles - 1) / tiling.tiles + kLanes<T> - 1) & -kLanes<T>;
    const auto until = [=](int term) { return term < next ? term : next; };
    const auto ahead = [&](int t, int j) {
      if constexpr (!kCopy)
        return NothingAhead{};
      else
        return t + 1 < tiling.tiles
                   ? pieces.ahead(piece + 1, (t + 1) * portion, until((t + 2) * portion), j)
                   : pieces.ahead(piece + 2, 0, portion, j);
    };
    constexpr auto& tiles = kTiles<T, Epilogue, decltype(ahead(0, 0))>;
    for (int t = 0; t < tiling.tiles; ++t) {
      const int i = tiling.row(t);
      const T* const a = Epilogue::kTransposed ? A + k * ld_A + i : A + i * ld_A + k;
      for (int j = first; j < end; j += kPanel<T>) {
        const T* const panel =
            kCopy ? copies[piece % 2] + (j - first) * kDepthBlock : pieces.at(k, j);
        const auto& tile = tiles.of[pieces.cols - j > kLanes<T> ? 1 : 0];
        tile[tiling.height(t) - 1](terms, a, ld_A, panel, kCopy ? kPanel<T> : pieces.B.rs, is_first,
                                   is_last, epilogue, i, j, ahead(t, j - first));
      }
      if constexpr (kCopy)
        pieces.copy(copies[(piece + 1) % 2], piece + 1, t * portion, until((t + 1) * portion));
    }
  }
}

template <class T, class Epilogue>
void product(int rows, int depth, int cols, const T* A, std::ptrdiff_t ld_A, Right<T> B,
             const Epilogue& epilogue) {
  const Pieces<T> pieces(depth, cols, B);
  // Rows a page or more apart fall into the same few cache sets.
  if (B.transposed || (B.rs >= kPageOf<T> && rows > kRowTile))
    product_of<true>(rows, A, ld_A, pieces, epilogue);
  else
    product_of<false>(rows, A, ld_A, pieces, epilogue);
}

// One row of A: nothing of B is met twice, so as many columns as there are registers walk down
// together. Where rows of B are far apart the hardware does not foresee the next one.
constexpr int kRowVectors = kRowTile >= 8 ? 16 : 8;
constexpr int kRowsAhead = 8;

template <class T, int NV, class Epilogue>
void one_row(int depth, const T* A, const T* B, std::ptrdiff_t rs, const Epilogue& epilogue,
             int j) {
  Tile<T, 1, NV> tile;
  epilogue.begin(tile, 0, j);
  for (int k = 0; k < depth; ++k, B += rs) {
    tile.one_term(B, [=](int) CHAINRULE_LAMBDA { return A[k]; });
    if (rs >= kRowsFarApart<T>)
      for (int v = 0; v < NV * kLanes<T>; v += kLine<T>)
        __builtin_prefetch(B + kRowsAhead * rs + v);
  }
  epilogue.end(tile, 0, j);
}

template <class T, class Epilogue>
using RowFunction = void (*)(int, const T*, const T*, std::ptrdiff_t, const Epilogue&, int);

template <class T, class Epilogue>
struct RowTable {
  RowFunction<T, Epilogue> of[kRowVectors];

  template <int NV>
  constexpr void fill() {
    of[NV - 1] = one_row<T, NV, Epilogue>;
    if constexpr (NV > 1) fill<NV - 1>();
  }
  constexpr RowTable() : of{} { fill<kRowVectors>(); }
};

template <class T, class Epilogue>
constexpr RowTable<T, Epilogue> kRows{};

template <class T, class Epilogue>
void product_row(int depth, int cols, const T* A, Right<T> B, const Epilogue& epilogue) {
  for (int j = 0; j < cols; j += kRowVectors * kLanes<T>) {
    const int vectors = (cols - j + kLanes<T> - 1) / kLanes<T>;
    kRows<T, Epilogue>.of[(vectors < kRowVectors ? vectors : kRowVectors) - 1](depth, A, B.p + j,
                                                                               B.rs, epilogue, j);
  }
}

template <class T>
void forward(int rows, int depth, int cols, const T* x, std::ptrdiff_t ld_x, Right<T> W,
             Activation f, T* z, T* a, std::ptrdiff_t ld) {
  const ForwardEpilogue<T, false> epilogue{W.p + depth * W.rs, W.panel_stride, f, z, a, ld};
  if (rows == 1 && W.panel_stride == kPanel<T>)
    product_row(depth, cols, x, W, epilogue);
  else
    product(rows, depth, cols, x, ld_x, W, epilogue);
}

template <class T>
void backward(int rows, int depth, int cols, const T* delta, std::ptrdiff_t ld_delta, Right<T> W,
              Activation f, const T* z, const T* a, T* delta_below, std::ptrdiff_t ld) {
  const BackwardEpilogue<T> epilogue{f, z, a, delta_below, ld};
  product(rows, depth, cols, delta, ld_delta, W, epilogue);
}

// A tile's rows of the left operand side by side, (depth x height): what lies on `depth` pages, and
// in a few cache sets, becomes one stream. Whole vectors are stored; the next row covers the
// excess.
template <class T>
void copy_tile(T* to, int depth, int height, const T* from, std::ptrdiff_t cs) {
  for (int k = 0; k < depth; ++k)
    for (int i = 0; i < height; i += kLanes<T>)
      store<T>(to + k * height + i, load(from + k * cs + i));
}

template <class T>
void gradient(int rows, int depth, int cols, const T* a, std::ptrdiff_t ld_a, Right<T> delta,
              int block, T* dW, std::ptrdiff_t ld, T* scratch) {
  const Tiling tiling(rows);
  const bool copy_a = cols > kPanelsForCopy * kPanel<T>;
  const bool copy_delta = delta.rs != kPanel<T> && tiling.tiles > kTilesForCopy;
  T* const panel_copy = scratch + static_cast<std::ptrdiff_t>(block) * rows;
  const int panels = (cols + kPanel<T> - 1) / kPanel<T>;
  for (int s = 0; s < depth; s += block) {
    const int samples = depth - s < block ? depth - s : block;
    const GradientEpilogue<T> epilogue{s > 0, dW, ld};
    const T* const a_s = a + s * ld_a;
    if (copy_a)
      for (int t = 0; t < tiling.tiles; ++t)
        copy_tile(scratch + tiling.row(t) * samples, samples, tiling.height(t), a_s + tiling.row(t),
                  ld_a);
    // What comes next: the next block, or the block of the rows that follow these.
    const int next = s + block < depth ? s + block : 0;
    Ahead<T> next_a{a + next * ld_a + (next == 0 ? rows : 0), ld_a, 1, lines_of<T>(rows)};
    const int portion_a = (samples + panels * tiling.tiles - 1) / (panels * tiling.tiles);
    const int portion = (samples + tiling.tiles - 1) / tiling.tiles;
    for (int p = 0; p < panels; ++p) {
      const int j = p * kPanel<T>;
      const auto& tile = kTiles<T, GradientEpilogue<T>, Ahead<T>>.of[cols - j > kLanes<T> ? 1 : 0];
      const T* panel = delta.p + p * delta.panel_stride + s * delta.rs;
      if (copy_delta) copy_panel(panel_copy, samples, panel, delta.rs);
      const T* next_panel = p + 1 < panels ? panel + delta.panel_stride : delta.p + next * delta.rs;
      for (int t = 0; t < tiling.tiles; ++t) {
        const int i = tiling.row(t), height = tiling.height(t);
        tile[height - 1](samples, copy_a ? scratch + i * samples : a_s + i, copy_a ? height : ld_a,
                         copy_delta ? panel_copy : panel, copy_delta ? kPanel<T> : delta.rs, true,
                         true, epilogue, i, j,
                         {next_panel + t * portion * delta.rs, delta.rs, portion, 2});
        if (copy_a)
          for (int k = 0; k < portion_a; ++k) next_a.call();
      }
    }
  }
}

// Panels of a row-major matrix: element (k, j) at B[k * rs + j]. One row is one stream.
template <class T>
void pack(T* panels, std::ptrdiff_t panel_stride, const T* B, std::ptrdiff_t rs, int depth,
          int cols) {
  for (int k = 0; k < depth; ++k)
    for (int j = 0; j < cols; j += kPanel<T>) {
      const T* from = B + k * rs + j;
      T* to = panels + j / kPanel<T> * panel_stride + k * kPanel<T>;
      for (int v = 0; v < kPanel<T>; v += kLanes<T>) {
        const int left = cols - j - v;
        store<T>(to + v, left >= kLanes<T> ? load(from + v)
                         : left > 0        ? load_part(from + v, left)
                                           : Vec<T>{});
      }
    }
}
