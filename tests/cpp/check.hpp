// The little that the C++ tests need of a test framework, so that they build with a compiler alone.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "dispatch.hpp"

inline std::atomic<int>& checks() {
  static std::atomic<int> count{0};
  return count;
}
inline std::atomic<int>& failures() {
  static std::atomic<int> count{0};
  return count;
}

// CHECK(condition) << "what was looked at";
class Outcome {
 public:
  Outcome(bool passed, const char* file, int line, const char* text) : passed_(passed) {
    ++checks();
    if (!passed_) {
      ++failures();
      message_ << file << ":" << line << ": failed: " << text << "  ";
    }
  }
  ~Outcome() {
    if (!passed_ && failures().load() <= 20) std::fprintf(stderr, "%s\n", message_.str().c_str());
  }
  Outcome(const Outcome&) = delete;
  Outcome& operator=(const Outcome&) = delete;
  template <class T>
  Outcome& operator<<(const T& value) {
    if (!passed_) message_ << value;
    return *this;
  }

 private:
  bool passed_;
  std::ostringstream message_;
};

#define CHECK(condition) Outcome((condition), __FILE__, __LINE__, #condition)

template <class Exception, class F>
std::string message_of(const F& call) {
  try {
    call();
  } catch (const Exception& e) {
    return e.what();
  }
  return "";
}

// Whether multiply-adds round once. The sanitizers' build turns off the passes that fuse them.
inline bool fuses(const std::string& isa) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  (void)isa;
  return false;
#else
  return isa != "baseline";
#endif
}

// Runs body once per instruction set that this CPU has, and says which ones it had to leave out.
template <class F>
void for_each_isa(const F& body) {
  const std::vector<std::string> here = chainrule::detected_isas();
  for (const std::string& isa : chainrule::built_isas()) {
    bool detected = false;
    for (const std::string& name : here) detected = detected || name == isa;
    if (!detected) {
      std::printf("SKIPPED: this CPU has no %s\n", isa.c_str());
      continue;
    }
    chainrule::set_isa(isa);
    body(isa);
  }
}

// A small generator of its own: the tests must not lean on what they test.
class Random {
 public:
  explicit Random(unsigned seed) : state_(seed * 2654435761U + 12345U) {}
  unsigned bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }
  int integer(int lo, int hi) {
    return lo + static_cast<int>(bits() % static_cast<unsigned>(hi - lo + 1));
  }
  double real() { return bits() / 2147483648.0 - 1; }  // [-1, 1)

 private:
  unsigned state_;
};

inline int report(const char* room) {
  std::printf("%s: %d checks, %d failed\n", room, checks().load(), failures().load());
  return checks() > 0 && failures() == 0 ? 0 : 1;
}
