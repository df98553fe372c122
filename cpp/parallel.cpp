#include "parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>

#include <csignal>
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
  static constexpr unsigned kLooksPerClock = 32;
  static constexpr std::chrono::microseconds kSpin{50}, kYield{3000};
  unsigned looks_ = 0;
  std::chrono::steady_clock::time_point since_;
  std::chrono::steady_clock::duration waited_{0};
};

}  // namespace

// The members that wait for loops. One word says which loop is open, for how many members, and how
// many of its units are taken: a late member can take no unit of a loop that has ended, nor one of
// a program that it does not belong to.
class Crew {
 public:
  static constexpr int kMostMembers = 0xff;

  explicit Crew(unsigned process) : process_(process) {}
  unsigned process() const { return process_; }

  void open(int size);  // for a program with so many members, the caller included
  void close() { members_.store(0, std::memory_order_release); }
  void share_out(int units, void (*body)(const void*, int, int), const void* context);

 private:
  // Bits of the word: loop 28, members 8, units taken 14, units 14.
  static constexpr int kMostUnits = 0x3fff;
  static constexpr std::uint64_t kOneTaken = std::uint64_t{1} << 14;
  static std::uint64_t loop(std::uint64_t t) { return t >> 36; }
  static int members(std::uint64_t t) { return static_cast<int>(t >> 28 & 0xff); }
  static int taken(std::uint64_t t) { return static_cast<int>(t >> 14 & 0x3fff); }
  static int units(std::uint64_t t) { return static_cast<int>(t & 0x3fff); }

  struct Worker {
    std::thread::native_handle_type handle{};
    std::condition_variable morning;
    bool asleep = false;
  };

  void run_loop(int units);
  bool take_one(int rank);
  void serve(int rank);
  void sleep(int rank, std::uint64_t seen);
  void wake();
  void count_sleepers();
  void keep_off_this_core(bool mask_too);

  alignas(64) std::atomic<int> done_{0};
  const unsigned process_;
  std::uint64_t loop_ = 0;
  void (*body_)(const void*, int, int) = nullptr;
  const void* context_ = nullptr;
  std::mutex mutex_;  // of the workers
  std::deque<Worker> workers_;
#ifdef __linux__
  cpu_set_t mask_{};
  int core_ = -1;  // that the workers keep off
#endif
  int first_ = 0;                 // unit of the loop
  std::atomic<int> sleepers_{0};  // among the members
  std::atomic<int> members_{0};   // 0: no program is running
  alignas(64) std::atomic<std::uint64_t> ticket_{0};
};

bool Crew::take_one(int rank) {
  std::uint64_t now = ticket_.load(std::memory_order_acquire);
  while (rank < members(now) && taken(now) < units(now)) {
    if (!ticket_.compare_exchange_weak(now, now + kOneTaken, std::memory_order_acq_rel)) continue;
    body_(context_, first_ + taken(now), rank);  // theirs until this unit is done
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }
  return false;
}

void Crew::share_out(int units, void (*body)(const void*, int, int), const void* context) {
  keep_off_this_core(false);
  body_ = body;
  context_ = context;
  for (first_ = 0; units > kMostUnits; units -= kMostUnits, first_ += kMostUnits)
    run_loop(kMostUnits);
  run_loop(units);
}

void Crew::run_loop(int units) {
  done_.store(0, std::memory_order_relaxed);
  const auto size = static_cast<std::uint64_t>(members_.load(std::memory_order_relaxed));
  ticket_.store(++loop_ << 36 | size << 28 | static_cast<std::uint64_t>(units));
  if (sleepers_.load() > 0) wake();
  while (take_one(0)) {
  }
  Patience patience;
  while (done_.load(std::memory_order_acquire) < units)
    if (!patience.look(true)) std::this_thread::yield();
}

void Crew::wake() {
  const std::scoped_lock lock(mutex_);
  const int size = members_.load();
  for (int rank = 1; rank < size && rank <= static_cast<int>(workers_.size()); ++rank)
    if (workers_[rank - 1].asleep) workers_[rank - 1].morning.notify_one();
}

void Crew::count_sleepers() {  // under the mutex
  const int size = members_.load();
  int count = 0;
  for (int rank = 1; rank < size && rank <= static_cast<int>(workers_.size()); ++rank)
    count += static_cast<int>(workers_[rank - 1].asleep);
  sleepers_.store(count);
}

// Until a loop comes up that is new to this worker and of its own program.
void Crew::sleep(int rank, std::uint64_t seen) {
  std::unique_lock<std::mutex> lock(mutex_);
  Worker& me = workers_[rank - 1];
  me.asleep = true;
  count_sleepers();
  me.morning.wait(lock, [&] { return rank < members_.load() && loop(ticket_.load()) != seen; });
  me.asleep = false;
  count_sleepers();
}

void Crew::serve(int rank) {
  Patience patience;
  std::uint64_t seen = 0;
  for (;;) {
    if (take_one(rank)) {
      patience = {};
      continue;
    }
    const std::uint64_t now = loop(ticket_.load(std::memory_order_acquire));
    const bool member = rank < members_.load(std::memory_order_acquire);
    if (member && now != seen) patience = {};
    seen = now;
    if (patience.look(member)) continue;
    sleep(rank, seen);
    patience = {};
  }
}

#if defined(__unix__) || defined(__APPLE__)
// Signals are for the threads of the program, not for ours.
struct SignalsBlocked {
  sigset_t before;
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
};
#else
struct SignalsBlocked {};
#endif

void Crew::open(int size) {
  const std::scoped_lock lock(mutex_);
  const auto most = static_cast<std::size_t>(size - 1);
  if (workers_.size() < most) {
    [[maybe_unused]] const SignalsBlocked blocked;
    while (workers_.size() < most) {
      workers_.emplace_back();
      try {
        std::thread worker([this, rank = static_cast<int>(workers_.size())] { serve(rank); });
        workers_.back().handle = worker.native_handle();
        worker.detach();
      } catch (const std::system_error&) {  // no more to be had: the program runs with fewer
        workers_.pop_back();
        break;
      }
    }
#ifdef __linux__
    core_ = -1;
#endif
  }
  keep_off_this_core(true);
  members_.store(size);
  count_sleepers();
}

// The system likes to wake a thread on the core of the one that wakes it. There it gets its turn
// only milliseconds later, when the work is done.
void Crew::keep_off_this_core([[maybe_unused]] bool mask_too) {
#ifdef __linux__
  const int core = sched_getcpu();
  if (core == core_ && !mask_too) return;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return;
  if (core == core_ && CPU_EQUAL(&mask, &mask_)) return;
  core_ = core;
  mask_ = mask;
  if (core >= 0 && core<CPU_SETSIZE&& static_cast<std::size_t>(CPU_COUNT(&mask))> workers_.size())
    CPU_CLR(core, &mask);
  for (const Worker& worker : workers_) pthread_setaffinity_np(worker.handle, sizeof(mask), &mask);
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

void lock_list() noexcept {
  while (list_locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
}
void unlock_list() noexcept { list_locked.store(false, std::memory_order_release); }

struct ListLock {
  ListLock() { lock_list(); }
  ~ListLock() { unlock_list(); }
  ListLock(const ListLock&) = delete;
  ListLock& operator=(const ListLock&) = delete;
};

#if defined(__unix__) || defined(__APPLE__)
[[maybe_unused]] const int registered = pthread_atfork(lock_list, unlock_list, []() noexcept {
  process.fetch_add(1, std::memory_order_relaxed);
  unlock_list();
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
  } const shift(std::min(size, Crew::kMostMembers));
  program(Team(std::min(size, Crew::kMostMembers), shift.crew), context);
}

}  // namespace chainrule
