// Teams of threads: one member runs the program, the others take shares of its loops. This is the
// only room that knows threads; OpenMP says how many there may be.
#pragma once

#include <cstddef>

namespace chainrule {

int max_threads();  // set_max_threads, else what OpenMP says (OMP_NUM_THREADS, limits)
void set_max_threads(int count);  // 0: back to OpenMP's word
bool built_with_openmp();

class Crew;

// A loop's units go to whoever comes first: a member that another program keeps from its core is
// not waited for unless it has begun one. So no result may depend on who did what.
class Team {
 public:
  explicit Team(int size = 1, Crew* crew = nullptr) : size_(size), crew_(crew) {}
  int size() const { return size_; }

  // body(unit, rank) for unit = 0 .. units - 1, rank < size() being the member that runs it;
  // returns when all have ended. Not from inside a body, and a body must not throw.
  template <class Body>
  void for_each(int units, const Body& body) const {
    if (size_ > 1 && units > 1) {
      share_out(
          units,
          [](const void* context, int unit, int rank) {
            (*static_cast<const Body*>(context))(unit, rank);
          },
          &body);
      return;
    }
    for (int unit = 0; unit < units; ++unit) body(unit, 0);
  }

 private:
  void share_out(int units, void (*body)(const void*, int, int), const void* context) const;

  int size_;
  Crew* crew_;
};

// How many threads a piece of work is worth, at most max_threads().
int worthwhile_threads(double flops, double parameters);

// program(team, context) on the calling thread, with a team of `size` (at most 255), some of whom
// may never come; works in a forked child too. 50 us after it returns nothing of the team runs.
void run_team(int size, void (*program)(const Team&, const void*), const void* context);

template <class Program>
void parallel(int size, const Program& program) {
  run_team(
      size,
      [](const Team& team, const void* context) { (*static_cast<const Program*>(context))(team); },
      &program);
}

struct Range {
  std::ptrdiff_t begin, end;
  std::ptrdiff_t size() const { return end - begin; }
};

// Part `part` of `parts` of [0, n), cut at multiples of `grain`.
inline Range share(std::ptrdiff_t n, std::ptrdiff_t grain, int part, int parts) {
  const std::ptrdiff_t grains = (n + grain - 1) / grain;
  const std::ptrdiff_t begin = grains * part / parts * grain;
  const std::ptrdiff_t end = grains * (part + 1) / parts * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace chainrule
