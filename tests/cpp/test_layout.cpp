// Widths -> offsets, and sizes that must not wrap.
#include <cstdint>

#include "check.hpp"
#include "layout.hpp"

int main() {
  const chainrule::Layout layout({3, 4, 2});
  CHECK(layout.L() == 2 && layout.size == 26);
  CHECK(layout.W(1) == 0 && layout.b(1) == 12 && layout.W(2) == 16 && layout.b(2) == 24);

  constexpr int big = 2147483647;
  CHECK(!message_of<std::overflow_error>([] {
           chainrule::checked_multiply(PTRDIFF_MAX / 2, 3);
         }).empty());
  CHECK(!message_of<std::overflow_error>([] { chainrule::Layout({big, big, big, big}); }).empty());
  CHECK(!message_of<std::invalid_argument>([] { chainrule::Layout({5}); }).empty());
  CHECK(!message_of<std::invalid_argument>([] { chainrule::Layout({5, 0}); }).empty());
  bool refused = false;
  try {
    const chainrule::Buffer<double> too_large(std::ptrdiff_t{1} << 57);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  CHECK(refused);

  for (const int n : {1, 15, 16, 17, 1000, 1024, 2048}) {
    const std::ptrdiff_t ld = chainrule::padded<float>(n);
    CHECK(ld >= n && ld % 16 == 0 && ld * 4 % 4096 != 0) << n << " -> " << ld;
  }
  chainrule::Buffer<float> buffer(100);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
  CHECK(buffer[99] == 0);
  return report("layout");
}
