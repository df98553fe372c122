#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#ifdef _OPENMP
#include <omp.h>
#include <pthread.h>
#endif

namespace chainrule {
namespace {

std::atomic<int> limit{0};

constexpr int kLooks = 200;     // about 3 to 8 us
constexpr int kYields = 10000;  // about 3 ms

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#ifdef _OPENMP
// OpenMP's pool belongs to the thread that made it and does not survive fork(): in a child, teams
// start from a fresh thread, which gets a fresh pool. The handler only sets a flag.
std::atomic<bool> forked{false};
[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });

void open_team(int size, void (*body)(const Team&, const void*), const void* context) {
  Barrier barrier;
#pragma omp parallel num_threads(size)
  {
    const Team team{omp_get_thread_num(), omp_get_num_threads(), &barrier};
    body(team, context);
    team.barrier();  // ours, because OpenMP's spins for milliseconds
  }
}
#endif

}  // namespace

int max_threads() {
  const int set = limit.load(std::memory_order_relaxed);
#ifdef _OPENMP
  return set > 0 ? set : std::max(1, omp_get_max_threads());
#else
  return set > 0 ? set : 1;
#endif
}

void set_max_threads(int count) { limit.store(count, std::memory_order_relaxed); }

bool built_with_openmp() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

void Barrier::wait(int size) {
  const unsigned round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  for (int looks = 0; round_.load(std::memory_order_acquire) == round; ++looks)
    if (looks < kLooks)
      relax();
    else if (looks < kYields)
      std::this_thread::yield();
    else  // somebody is in a callback, or away for good reasons
      std::this_thread::sleep_for(std::chrono::microseconds(50));
}

int worthwhile_threads(double flops, double parameters) {
  // Half of the one-thread time at about 80 GFLOP/s has to exceed 150 us + 1 ns per parameter. In
  // the best case 2 us would do; but when the other core is not quite free, a step that waits for
  // it loses far more than a short one can win.
  const double price = 2 * 80e9 * (150e-6 + 1e-9 * parameters);
  return flops > price ? max_threads() : 1;
}

void run_team(int size, void (*body)(const Team&, const void*), const void* context) {
#ifdef _OPENMP
  if (size > 1) {
    if (forked.load(std::memory_order_relaxed))
      std::thread(open_team, size, body, context).join();
    else
      open_team(size, body, context);
    return;
  }
#else
  static_cast<void>(size);
#endif
  body(Team{0, 1}, context);
}

}  // namespace chainrule
