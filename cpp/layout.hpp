// Widths -> offsets: where each layer's parameters lie in theta, and how large everything is.
// theta = [W^1 b^1 W^2 b^2 ...]; W^l is stored transposed, (n_{l-1}, n_l) row-major, and b^l is the
// row below it: one row of inputs meets contiguous outputs, and b is the weight of a constant 1.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "kernels/kernels.hpp"

namespace chainrule {

// Products of sizes that must not wrap.
inline std::ptrdiff_t checked_multiply(std::ptrdiff_t a, std::ptrdiff_t b) {
  std::ptrdiff_t product = 0;
  if (__builtin_mul_overflow(a, b, &product))
    throw std::overflow_error("size " + std::to_string(a) + " x " + std::to_string(b) +
                              " does not fit in 64 bits");
  return product;
}

// Zeroed, aligned to a cache line, with room behind the last element for a kernel's whole vectors.
// Large ones ask for huge pages (a walk down a wide matrix meets a new small page every row) and
// take their zeros from the system.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::ptrdiff_t size) { reset(size); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  void reset(std::ptrdiff_t size);
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::ptrdiff_t size() const { return size_; }
  T& operator[](std::ptrdiff_t i) { return data_[i]; }

 private:
  void release();

  T* data_ = nullptr;
  std::ptrdiff_t size_ = 0;
  void* mapped_ = nullptr;  // where a large one starts, and its bytes
  std::size_t mapped_bytes_ = 0;
};

constexpr std::ptrdiff_t kSlack = 256;  // bytes: two of the widest vectors, twice
constexpr std::ptrdiff_t kHugePage = 2 << 20;

template <class T>
void Buffer<T>::release() {
#ifdef __linux__
  if (mapped_ != nullptr)
    munmap(mapped_, mapped_bytes_);
  else
#endif
    std::free(data_);
  mapped_ = nullptr;
  data_ = nullptr;
  size_ = 0;
}

template <class T>
void Buffer<T>::reset(std::ptrdiff_t size) {
  const std::ptrdiff_t needed = checked_multiply(size, sizeof(T)) + kSlack;
  release();
#ifdef __linux__
  if (needed >= kHugePage / 2) {
    mapped_bytes_ = static_cast<std::size_t>(needed + kHugePage);
    void* memory =
        mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mapped_ = memory;
    void* start = memory;
    std::size_t room = mapped_bytes_;
    std::align(kHugePage, static_cast<std::size_t>(needed), start, room);
    madvise(start, static_cast<std::size_t>(needed), MADV_HUGEPAGE);  // a wish, not a need
    data_ = static_cast<T*>(start);
    size_ = size;
    return;
  }
#endif
  const auto bytes = static_cast<std::size_t>((needed + kPad - 1) / kPad * kPad);
  void* memory = std::aligned_alloc(kPad, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  data_ = static_cast<T*>(memory);
  size_ = size;
}

// Leading dimension of a padded row of n elements. A whole multiple of 4 KiB would send the rows
// of a tile to the same few cache sets: one line more spreads them.
template <class T>
std::ptrdiff_t padded(std::ptrdiff_t n) {
  constexpr std::ptrdiff_t line = kPad / static_cast<std::ptrdiff_t>(sizeof(T));
  const std::ptrdiff_t lines = (n + line - 1) / line;
  return (lines % (4096 / kPad) == 0 ? lines + 1 : lines) * line;
}

struct Layout {
  std::vector<int> n;                  // n[0] inputs, n[l] units of layer l
  std::vector<std::ptrdiff_t> offset;  // offset[l] of W^l in theta, l = 1..L
  std::ptrdiff_t size = 0;             // of theta

  explicit Layout(std::vector<int> widths) : n(std::move(widths)), offset(n.size(), 0) {
    if (n.size() < 2) throw std::invalid_argument("widths: at least inputs and one layer");
    for (const int width : n)
      if (width < 1) throw std::invalid_argument("widths: each at least 1");
    for (int l = 1; l <= L(); ++l) {
      offset[l] = size;
      if (__builtin_add_overflow(size, checked_multiply(n[l - 1] + std::ptrdiff_t{1}, n[l]), &size))
        throw std::overflow_error("theta does not fit in 64 bits");
    }
  }
  int L() const { return static_cast<int>(n.size()) - 1; }
  std::ptrdiff_t W(int l) const { return offset[l]; }
  std::ptrdiff_t b(int l) const { return offset[l] + static_cast<std::ptrdiff_t>(n[l - 1]) * n[l]; }
};

}  // namespace chainrule
