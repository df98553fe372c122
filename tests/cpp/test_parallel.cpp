// Teams: every unit of a loop runs once, a loop ends when its units have ended, nobody is waited
// for who has not begun, nothing runs afterwards, a forked child works.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "check.hpp"
#include "parallel.hpp"

namespace {

using chainrule::Team;

// Loops in which each unit checks that all units of the loop before have ended. The number of
// units that somebody else than the caller took.
int loops(int threads, int units) {
  std::vector<std::atomic<int>> seen(units);
  std::atomic<int> wrong{0}, helped{0};
  chainrule::parallel(threads, [&](const Team& team) {
    for (int round = 1; round <= 200; ++round) {
      team.for_each(units, [&](int unit, int rank) {
        if (rank < 0 || rank >= team.size()) ++wrong;
        if (seen[unit].fetch_add(1) != round - 1) ++wrong;
        if (rank > 0) ++helped;
      });
      for (int unit = 0; unit < units; ++unit)
        if (seen[unit] != round) ++wrong;
    }
  });
  CHECK(wrong == 0) << threads << " threads, " << units << " units";
  return helped;
}

void many_units() {
  std::atomic<std::int64_t> sum{0};
  chainrule::parallel(
      2, [&](const Team& team) { team.for_each(200000, [&](int unit, int) { sum += unit; }); });
  CHECK(sum == 200000LL * 199999 / 2) << sum;
}

// Members that get no turn for a while: the work is done all the same.
void slow_unit_is_waited_for() {
  std::atomic<int> done{0};
  chainrule::parallel(2, [&](const Team& team) {
    team.for_each(2, [&](int unit, int) {
      if (unit == 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ++done;
    });
    CHECK(done == 2);
  });
}

// Programs of two threads at once, each with a team of its own.
void two_programs() {
  std::thread other([] { loops(3, 5); });
  loops(3, 7);
  other.join();
}

// A team that shrinks leaves workers behind who are not members: they take no unit and cost
// nothing.
void shrinking_teams() {
  for (int round = 0; round < 300; ++round) {
    loops(round % 2 == 0 ? 6 : 2, 3);
    if (failures() > 0) return;
  }
}

// Who has gone to sleep is woken: the caller alone could do it all, so somebody has to be seen.
void sleepers_are_woken() {
  int helped = 0;
  for (int attempt = 0; attempt < 50 && helped == 0; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    helped = loops(2, 200);
  }
  CHECK(helped > 0) << "nobody came in 50 programs";
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void nothing_runs_afterwards() {
  loops(4, 4);
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double spent = cpu_seconds() - before;
  CHECK(spent < 5e-3) << spent << " s of CPU time in 200 ms of rest";
}

void shares() {
  for (const int n : {0, 1, 15, 16, 17, 1000})
    for (const int grain : {1, 16, 32})
      for (const int parts : {1, 2, 3, 7, 16}) {
        std::ptrdiff_t next = 0;
        for (int part = 0; part < parts; ++part) {
          const chainrule::Range r = chainrule::share(n, grain, part, parts);
          CHECK(r.size() >= 0) << n << " " << grain << " " << parts;
          if (r.size() == 0) continue;
          CHECK(r.begin == next && r.begin % grain == 0) << n << " " << grain << " " << parts;
          next = r.end;
        }
        CHECK(next == n) << n << " in " << parts;
      }
}

}  // namespace

int main() {
  shares();
  for (const int threads : {1, 2, 3, 8})
    for (const int units : {1, 2, 3, 16}) loops(threads, units);
  CHECK(loops(2, 1) == 0 && loops(1, 5) == 0) << "who is alone, or has one unit, does it himself";
  many_units();
  slow_unit_is_waited_for();
  two_programs();
  shrinking_teams();
  sleepers_are_woken();
  nothing_runs_afterwards();
  chainrule::set_max_threads(3);
  CHECK(chainrule::max_threads() == 3);
  CHECK(chainrule::worthwhile_threads(1e3, 10) == 1);
  CHECK(chainrule::worthwhile_threads(1e12, 10) == 3);
  CHECK(chainrule::worthwhile_threads(1.2e6, 10) == 1);  // see docs/decisions/0005
  CHECK(chainrule::worthwhile_threads(2e6, 10) == 2);
  CHECK(chainrule::worthwhile_threads(1e7, 1e6) == 1);
  chainrule::set_max_threads(0);

  // The threads of the parent's teams do not exist in a child; it makes its own.
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    int helped = 0;
    for (int attempt = 0; attempt < 100 && helped == 0; ++attempt) helped = loops(2, 2000);
    _exit(helped > 0 && failures() == 0 ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a team in a forked child: " << status;
  loops(2, 8);
  return report("parallel");
}
