// The vector vocabulary, in GCC/Clang vector extensions: load, store, broadcast, select, fma and
// the little integer arithmetic that exp needs. The width comes from the compiler's -m flags.
// -ffp-contract=fast turns a * b + c into one fused multiply-add wherever the machine has it.

#if defined(__AVX512F__)
#define CHAINRULE_VECTOR_BYTES 64
#define CHAINRULE_ROW_TILE 14  // 14 x 2 accumulators + 2 vectors of B + 1 of A <= 32 registers
#elif defined(__AVX2__)
#define CHAINRULE_VECTOR_BYTES 32
#define CHAINRULE_ROW_TILE 6  // 6 x 2 + 2 + 1 <= 16 registers
#elif defined(__aarch64__)
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_ROW_TILE 8  // 8 x 2 + 2 + 1 <= 32 registers
#else
#define CHAINRULE_VECTOR_BYTES 16
#define CHAINRULE_ROW_TILE 4  // 4 x 2 + 2 + 1 <= 16 registers
#endif

#define CHAINRULE_INLINE inline __attribute__((always_inline))
#define CHAINRULE_LAMBDA __attribute__((always_inline))

// Hides from the compiler how a pointer came about, so that it stays a register of its own.
#define CHAINRULE_KEEP_POINTER(p) asm("" : "+r"(p))

// body(Index<0>) ... body(Index<N - 1>): a loop whose counter is a constant each time, so that
// arrays of vectors indexed by it stay in registers.
template <int I>
struct Index {
  constexpr operator int() const { return I; }
};

template <int N, class Body>
CHAINRULE_INLINE void unrolled(const Body& body) {
  if constexpr (N > 0) {
    unrolled<N - 1>(body);
    body(Index<N - 1>{});
  }
}

template <class T>
struct Simd;

template <>
struct Simd<float> {
  typedef float V __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
  typedef float U __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), aligned(4), may_alias));
  typedef std::int32_t I __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
  typedef std::uint32_t Bits __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));  // 32 a lane
  typedef std::int32_t Number __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
  static constexpr int mantissa = 23, bias = 127;
};

template <>
struct Simd<double> {
  typedef double V __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
  typedef double U __attribute__((vector_size(CHAINRULE_VECTOR_BYTES), aligned(8), may_alias));
  typedef std::int64_t I __attribute__((vector_size(CHAINRULE_VECTOR_BYTES)));
  typedef std::uint32_t Bits __attribute__((vector_size(CHAINRULE_VECTOR_BYTES / 2)));
  typedef std::int32_t Number __attribute__((vector_size(CHAINRULE_VECTOR_BYTES / 2)));
  static constexpr int mantissa = 52, bias = 1023;
};

template <class T>
using Vec = typename Simd<T>::V;
template <class T>
using Int = typename Simd<T>::I;

template <class T>
constexpr int kLanes = CHAINRULE_VECTOR_BYTES / static_cast<int>(sizeof(T));

template <class T>
CHAINRULE_INLINE Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename Simd<T>::U*>(p);
}

template <class T>
CHAINRULE_INLINE void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename Simd<T>::U*>(p) = v;
}

// The first n lanes only, for the last columns of an unpadded row.
template <class T>
CHAINRULE_INLINE Vec<T> load_part(const T* p, int n) {
  T lanes[kLanes<T>] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}

template <class T>
CHAINRULE_INLINE void store_part(T* p, Vec<T> v, int n) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

template <class T>
CHAINRULE_INLINE Vec<T> broadcast(T s) {
  return s - Vec<T>{};  // s - 0 keeps the sign of -0, s + 0 would not
}

template <class T>
CHAINRULE_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return a * b + c;
}

// For chains of scalars: left to itself the compiler fuses, or vectorises without fusing, as it
// likes, and the bits would depend on the instruction set.
CHAINRULE_INLINE double fma_scalar(double a, double b, double c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

template <class T>
CHAINRULE_INLINE Vec<T> select(Int<T> mask, Vec<T> yes, Vec<T> no) {
  return mask ? yes : no;
}

template <class T>
constexpr Int<T> sign_bits() {
  using E = decltype(Int<T>{}[0] + 0);
  return Int<T>{} + static_cast<E>(E{1} << (8 * sizeof(T) - 1));
}

template <class T>
CHAINRULE_INLINE Vec<T> abs(Vec<T> x) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) & ~sign_bits<T>());
}

template <class T>
CHAINRULE_INLINE Vec<T> sqrt(Vec<T> x) {
  Vec<T> root;
  for (int lane = 0; lane < kLanes<T>; ++lane)
    root[lane] = sizeof(T) == 4 ? static_cast<T>(__builtin_sqrtf(static_cast<float>(x[lane])))
                                : static_cast<T>(__builtin_sqrt(static_cast<double>(x[lane])));
  return root;
}

// -1, 0 or 1
template <class T>
CHAINRULE_INLINE Vec<T> sign(Vec<T> x) {
  const Vec<T> zero{}, one = broadcast(T(1));
  return select<T>(x > zero, one, select<T>(x < zero, -one, zero));
}

// x with the sign bit of `of` set as well: copysign for an x that is negative only where `of` is.
template <class T>
CHAINRULE_INLINE Vec<T> add_sign(Vec<T> x, Vec<T> of) {
  return reinterpret_cast<Vec<T>>(reinterpret_cast<Int<T>>(x) |
                                  (reinterpret_cast<Int<T>>(of) & sign_bits<T>()));
}

// NaN passes through both: the comparison is false and x is taken.
template <class T>
CHAINRULE_INLINE Vec<T> at_most(Vec<T> x, T hi) {
  return select<T>(x > hi, broadcast(hi), x);
}

template <class T>
CHAINRULE_INLINE Vec<T> at_least(Vec<T> x, T lo) {
  return select<T>(x < lo, broadcast(lo), x);
}

// The same for x >= 0 in the order of the bits: one operation, but NaN counts as the largest.
template <class T>
CHAINRULE_INLINE Vec<T> magnitude_at_most(Vec<T> x, Vec<T> hi) {
  const Int<T> a = reinterpret_cast<Int<T>>(x), b = reinterpret_cast<Int<T>>(hi);
  return reinterpret_cast<Vec<T>>(a > b ? b : a);
}

template <class T>
CHAINRULE_INLINE Vec<T> magnitude_at_least(Vec<T> x, Vec<T> lo) {
  const Int<T> a = reinterpret_cast<Int<T>>(x), b = reinterpret_cast<Int<T>>(lo);
  return reinterpret_cast<Vec<T>>(a > b ? a : b);
}

// 2^n for n inside the range of normal exponents.
template <class T>
CHAINRULE_INLINE Vec<T> power_of_two(Int<T> n) {
  return reinterpret_cast<Vec<T>>((n + Simd<T>::bias) << Simd<T>::mantissa);
}

// p[0] + p[1] x + ... by Horner's rule.
template <class T, int N>
CHAINRULE_INLINE Vec<T> polynomial(const T (&p)[N], Vec<T> x) {
  Vec<T> sum = broadcast(p[N - 1]);
#pragma GCC unroll 32
  for (int i = N - 2; i >= 0; --i) sum = fma<T>(sum, x, broadcast(p[i]));
  return sum;
}

// Lanes of a and b at places L...; places from kLanes on are b's.
template <class T, int... L>
struct Places {
  static CHAINRULE_INLINE Vec<T> of(Vec<T> a, Vec<T> b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, L...);
#else
    return __builtin_shuffle(a, b, Int<T>{L...});
#endif
  }
};

template <int N, int... L>
struct Count : Count<N - 1, N - 1, L...> {};
template <int... L>
struct Count<0, L...> {
  // With pairs of rows S apart: the lanes that stay, and those that change places across them.
  template <class T, int S>
  static CHAINRULE_INLINE void exchange(Vec<T>& a, Vec<T>& b) {
    constexpr int n = kLanes<T>;
    const Vec<T> upper = Places<T, ((L & S) != 0 ? n + L - S : L)...>::of(a, b);
    b = Places<T, ((L & S) != 0 ? n + L : L + S)...>::of(a, b);
    a = upper;
  }
};

// A square of kLanes rows, transposed in registers in log2(kLanes) rounds.
template <class T, int S = kLanes<T> / 2>
CHAINRULE_INLINE void transpose(Vec<T> (&rows)[kLanes<T>]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes<T>; ++i)
    if ((i & S) == 0) Count<kLanes<T>>::template exchange<T, S>(rows[i], rows[i + S]);
  if constexpr (S > 1) transpose<T, S / 2>(rows);
}

// Its first `height` rows. With constant indices: others would send all of it through the stack.
template <class T>
CHAINRULE_INLINE void store_square(const Vec<T> (&rows)[kLanes<T>], T* to, std::ptrdiff_t ld,
                                   int height) {
  unrolled<kLanes<T>>([&](auto i) CHAINRULE_LAMBDA {
    if (i < height) store<T>(to + i * ld, rows[i]);
  });
}
