// Teams of threads. This is the only room that knows OpenMP; without it every team has one member.
#pragma once

#include <atomic>
#include <cstddef>

namespace chainrule {

int max_threads();  // set_max_threads, else what OpenMP says (OMP_NUM_THREADS, limits)
void set_max_threads(int count);  // 0: back to OpenMP's word
bool built_with_openmp();

// Waits in user space for a moment, then gives the core away each time it looks, then sleeps: when
// another program keeps the cores busy, members of a team may have to share one, and a member that
// spins there keeps the others from arriving.
class Barrier {
 public:
  void wait(int size);

 private:
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};

struct Team {
  int rank, size;
  Barrier* shared = nullptr;
  void barrier() const {  // all members must come
    if (size > 1) shared->wait(size);
  }
};

// How many threads a piece of work is worth: the price of a second one is some time for waiting and
// about 1 ns for each parameter, whose cache lines cross between the cores.
int worthwhile_threads(double flops, double parameters);

// body(team, context) on `size` threads at once; works in a forked child too.
void run_team(int size, void (*body)(const Team&, const void*), const void* context);

template <class Body>
void parallel(int size, const Body& body) {
  run_team(
      size,
      [](const Team& team, const void* context) { (*static_cast<const Body*>(context))(team); },
      &body);
}

struct Range {
  std::ptrdiff_t begin, end;
};

// The share of [0, n) of one member, cut at multiples of `grain`.
inline Range share(std::ptrdiff_t n, std::ptrdiff_t grain, const Team& team) {
  const std::ptrdiff_t grains = (n + grain - 1) / grain;
  const std::ptrdiff_t begin = grains * team.rank / team.size * grain;
  const std::ptrdiff_t end = grains * (team.rank + 1) / team.size * grain;
  return {begin, end < n ? end : n};
}

}  // namespace chainrule
