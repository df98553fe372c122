// Whether a team or its caller alone is done sooner with work that comes again and again, found by
// trying. `worthwhile_threads` was measured where cores share a cache; where they do not, or where
// another program keeps one of them busy, a team can be the slower of the two. No result depends
// on who did the work, so it may change its hands at any time.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace chainrule {

class Pace {
 public:
  // Whether the caller is to do the next piece alone.
  bool alone() const { return trying_ != alone_is_favourite_; }

  // After a piece of the usual size.
  void took(double seconds) {
    if (trying_)
      compare(seconds);
    else
      wait(seconds);
  }

 private:
  static constexpr int kPieces = 5;       // of each are compared
  static constexpr int kLeast = 100;      // pieces between two trials, at least
  static constexpr double kRest = 1;      // seconds between them, at most,
  static constexpr double kRarely = 400;  // or as many pieces, where the last one was clearly lost
  static constexpr double kClear = 1.25;  // times slower: clearly
  static constexpr double kGain = 0.95;   // of the time: for less than that nothing changes

  void wait(double seconds) {
    recent_[static_cast<std::size_t>(pieces_++ % kPieces)] = seconds;
    waited_ += seconds;
    if (pieces_ < kLeast || waited_ < rest_) return;
    std::array<double, kPieces> sorted = recent_;
    std::nth_element(sorted.begin(), sorted.begin() + kPieces / 2, sorted.end());
    usual_ = sorted[kPieces / 2];
    trying_ = true;
    tried_ = better_ = clearly_worse_ = 0;
  }

  // The median of the tries against the usual time, as soon as it is clear on which side it lies.
  // The first one finds cold caches and sleeping threads: it does not count.
  void compare(double seconds) {
    if (tried_++ == 0) return;
    better_ += static_cast<int>(seconds < kGain * usual_);
    clearly_worse_ += static_cast<int>(seconds > kClear * usual_);
    const int counted = tried_ - 1, worse = counted - better_;
    if (better_ <= kPieces / 2 && worse <= kPieces / 2) return;
    if (better_ > worse) {
      alone_is_favourite_ = !alone_is_favourite_;
      rest_ = 0;
    } else {
      rest_ = clearly_worse_ == counted ? std::max(kRest, kRarely * usual_)
                                        : std::min(kRest, 2 * waited_);
    }
    trying_ = false;
    pieces_ = 0;
    waited_ = 0;
  }

  bool alone_is_favourite_ = false, trying_ = false;
  std::array<double, kPieces> recent_{};
  std::int64_t pieces_ = 0;
  int tried_ = 0, better_ = 0, clearly_worse_ = 0;
  double waited_ = 0, rest_ = 0, usual_ = 0;
};

}  // namespace chainrule
