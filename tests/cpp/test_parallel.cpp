// Teams: every member runs once, barriers hold, shares cover the whole, a forked child works.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "check.hpp"
#include "parallel.hpp"

namespace {

using chainrule::Team;

int sum_with_barrier(int threads) {
  std::vector<int> seen(threads, 0);
  std::atomic<int> wrong{0}, members{0};
  chainrule::parallel(threads, [&](const Team& team) {
    ++members;
    for (int round = 1; round <= 50; ++round) {
      seen[team.rank] = round;
      team.barrier();
      for (int r = 0; r < team.size; ++r)
        if (seen[r] != round) ++wrong;
      team.barrier();
    }
  });
  CHECK(wrong == 0) << threads << " threads";
  return members;
}

void shares() {
  for (const int n : {0, 1, 15, 16, 17, 1000})
    for (const int grain : {1, 16, 32})
      for (const int size : {1, 2, 3, 7, 16}) {
        std::ptrdiff_t next = 0;
        for (int rank = 0; rank < size; ++rank) {
          const chainrule::Range r = chainrule::share(n, grain, Team{rank, size});
          if (r.begin >= r.end) continue;
          CHECK(r.begin == next && r.begin % grain == 0) << n << " " << grain << " " << size;
          next = r.end;
        }
        CHECK(next == n) << n << " in " << size;
      }
}

}  // namespace

int main() {
  shares();
  for (const int threads : {1, 2, 3, 8}) {
    const int members = sum_with_barrier(threads);
    CHECK(members == threads || !chainrule::built_with_openmp());
  }
  chainrule::set_max_threads(3);
  CHECK(chainrule::max_threads() == 3);
  CHECK(chainrule::worthwhile_threads(1e3, 10) == 1);
  CHECK(chainrule::worthwhile_threads(1e12, 10) == 3);
  CHECK(chainrule::worthwhile_threads(1e6, 1e6) == 1);
  chainrule::set_max_threads(0);

  // The parent has used its pool; the child's is dead, and a team there must not hang.
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    const int members = sum_with_barrier(2);
    _exit(members == 2 || !chainrule::built_with_openmp() ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a team in a forked child: " << status;
  sum_with_barrier(2);
  return report("parallel");
}
