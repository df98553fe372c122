#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

namespace chainrule {
namespace {

std::atomic<int> limit{0};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits in three steps: looks all the time, then gives the core away at each look, then says that
// it is time to sleep. When another program keeps the cores busy, members may have to share one,
// and one that only spins there keeps the other from its work.
class Patience {
 public:
  // False: enough. Without company, when no program is running, enough comes early.
  bool look(bool company) {
    if (++looks_ % kLooksPerClock == 0) {
      const auto now = std::chrono::steady_clock::now();
      if (looks_ == kLooksPerClock) since_ = now;
      waited_ = now - since_;
    }
    if (waited_ < kSpin) {
      relax();
      return true;
    }
    if (waited_ > kYield || !company) return false;
    std::this_thread::yield();
    return true;
  }

 private:
  static constexpr int kLooksPerClock = 32;
  static constexpr std::chrono::microseconds kSpin{50}, kYield{3000};
  int looks_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::chrono::steady_clock::duration waited_{0};
};

}  // namespace

// The members that wait for loops. One word says which loop is open and how many of its units are
// taken, so that a late member can never take a unit of a loop that has ended.
class Crew {
 public:
  explicit Crew(unsigned process) : process_(process) {}
  unsigned process() const { return process_; }

  void open(int size);  // for a program with so many members, the caller included
  void close() { members_.store(0, std::memory_order_release); }
  void share_out(int units, void (*body)(const void*, int, int), const void* context);

 private:
  static constexpr int kMostUnits = 0xffff;
  static std::uint64_t ticket(std::uint64_t loop, int units) {
    return loop << 32 | static_cast<std::uint64_t>(units);
  }
  static int taken(std::uint64_t t) { return static_cast<int>(t >> 16 & 0xffff); }
  static int units(std::uint64_t t) { return static_cast<int>(t & 0xffff); }

  void run_loop(int units);
  bool take_one(int rank);
  void serve(int rank);
  void wake();
  void keep_off_this_core();

  const unsigned process_;
  std::vector<std::thread::native_handle_type> workers_;
  int core_ = -1;                                     // that the workers keep off
  alignas(64) std::atomic<std::uint64_t> ticket_{0};  // loop | units taken | units
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<int> members_{0};  // 0: no program is running
  std::atomic<int> sleepers_{0};
  std::uint64_t loop_ = 0;
  int first_ = 0;  // unit of the loop
  void (*body_)(const void*, int, int) = nullptr;
  const void* context_ = nullptr;
  std::mutex mutex_;
  std::condition_variable morning_;
};

bool Crew::take_one(int rank) {
  std::uint64_t now = ticket_.load(std::memory_order_acquire);
  while (taken(now) < units(now)) {
    if (!ticket_.compare_exchange_weak(now, now + (1U << 16), std::memory_order_acq_rel)) continue;
    body_(context_, first_ + taken(now), rank);  // theirs until this unit is done
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }
  return false;
}

void Crew::share_out(int units, void (*body)(const void*, int, int), const void* context) {
  keep_off_this_core();
  body_ = body;
  context_ = context;
  for (first_ = 0; units > kMostUnits; units -= kMostUnits, first_ += kMostUnits)
    run_loop(kMostUnits);
  run_loop(units);
}

void Crew::run_loop(int units) {
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(ticket(++loop_, units));
  if (sleepers_.load() > 0) wake();
  while (take_one(0)) {
  }
  Patience patience;
  while (done_.load(std::memory_order_acquire) < units)
    if (!patience.look(true)) std::this_thread::yield();
}

void Crew::wake() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
  }
  morning_.notify_all();
}

void Crew::serve(int rank) {
  Patience patience;
  std::uint64_t seen = 0;
  for (;;) {
    const int members = members_.load(std::memory_order_acquire);
    if (rank < members && take_one(rank)) {
      patience = {};
      continue;
    }
    const std::uint64_t now = ticket_.load(std::memory_order_acquire);
    if (now >> 32 != seen >> 32) patience = {};
    seen = now;
    if (patience.look(rank < members)) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1);
    morning_.wait(lock, [&] { return ticket_.load() >> 32 != seen >> 32; });
    sleepers_.fetch_sub(1);
    patience = {};
  }
}

void Crew::open(int size) {
  const auto most = static_cast<std::size_t>(size - 1);
  if (workers_.size() < most) {
#if defined(__unix__) || defined(__APPLE__)
    sigset_t all, before;  // signals are for the threads of the program, not for ours
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    try {
      workers_.reserve(most);
      while (workers_.size() < most) {
        std::thread worker([this, rank = static_cast<int>(workers_.size()) + 1] { serve(rank); });
        workers_.push_back(worker.native_handle());
        worker.detach();
      }
    } catch (const std::system_error&) {  // no more to be had: the program runs with fewer
    }
    core_ = -1;
#if defined(__unix__) || defined(__APPLE__)
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  }
  members_.store(size, std::memory_order_release);
}

// The system likes to wake a thread on the core of the one that wakes it. There it gets its turn
// only milliseconds later, when the work is done.
void Crew::keep_off_this_core() {
#ifdef __linux__
  const int core = sched_getcpu();
  if (core == core_ || core < 0) return;
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return;
  if (CPU_COUNT(&cores) < 2) return;
  if (static_cast<std::size_t>(CPU_COUNT(&cores)) > workers_.size()) CPU_CLR(core, &cores);
  for (const auto worker : workers_) pthread_setaffinity_np(worker, sizeof(cores), &cores);
  core_ = core;
#endif
}

namespace {

// Crews that no program uses. Each concurrent program takes its own; in a forked child those of
// the parent have no threads, are left alone and new ones made. Never destroyed: their threads
// sleep until the process ends.
std::atomic<unsigned> process{0};
std::atomic<bool> list_locked{false};
std::vector<Crew*>& idle_crews() {
  static auto* const crews = new std::vector<Crew*>;
  return *crews;
}

struct ListLock {
  ListLock() {
    while (list_locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  ~ListLock() { list_locked.store(false, std::memory_order_release); }
  ListLock(const ListLock&) = delete;
  ListLock& operator=(const ListLock&) = delete;
};

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] {
  process.fetch_add(1, std::memory_order_relaxed);
  list_locked.store(false, std::memory_order_relaxed);
});
#endif

Crew* take_crew() {
  const unsigned here = process.load(std::memory_order_relaxed);
  const ListLock lock;
  auto& crews = idle_crews();
  while (!crews.empty()) {
    Crew* const crew = crews.back();
    crews.pop_back();
    if (crew->process() == here) return crew;
  }
  return new Crew(here);
}

void give_back(Crew* crew) {
  if (crew->process() != process.load(std::memory_order_relaxed)) return;
  const ListLock lock;
  idle_crews().push_back(crew);
}

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

void Team::share_out(int units, void (*body)(const void*, int, int), const void* context) const {
  crew_->share_out(units, body, context);
}

int worthwhile_threads(double flops, double parameters) {
  // One more thread for each time that half of the work, at 80 GFLOP/s, takes as long as calling it
  // in, and the lines of theta and its gradient crossing between the cores (docs/decisions/0005).
  const double price = 2 * 80e9 * (8e-6 + std::min(0.4e-9 * parameters, 60e-6));
  return static_cast<int>(std::min<double>(max_threads(), 1 + std::floor(flops / price)));
}

void run_team(int size, void (*program)(const Team&, const void*), const void* context) {
  if (size <= 1) {
    program(Team(), context);
    return;
  }
  struct Shift {  // ends with the program, also by an exception
    Crew* crew = take_crew();
    explicit Shift(int members) { crew->open(members); }
    ~Shift() {
      crew->close();
      give_back(crew);
    }
    Shift(const Shift&) = delete;
    Shift& operator=(const Shift&) = delete;
  } const shift(size);
  program(Team(size, shift.crew), context);
}

}  // namespace chainrule
