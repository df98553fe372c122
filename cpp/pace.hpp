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
  static constexpr int kPieces = 5;         // of each are compared
  static constexpr int kLeast = 100;        // pieces between two trials, at least
  static constexpr double kRest = 1;        // seconds between them where the last one is clear
  static constexpr double kClear = 1.25;    // times slower: clear
  static constexpr double kShare = 0.01;    // of all time may be lost by trying
  static constexpr double kLongest = 0.02;  // of a piece for which somebody may wait alone
  static constexpr double kGain = 0.95;     // of the time: for less than that nothing changes

  void wait(double seconds) {
    recent_[static_cast<std::size_t>(pieces_++ % kPieces)] = seconds;
    waited_ += seconds;
    if (pieces_ < kLeast || waited_ < rest_) return;
    std::array<double, kPieces> sorted = recent_;
    std::nth_element(sorted.begin(), sorted.begin() + kPieces / 2, sorted.end());
    usual_ = sorted[kPieces / 2];
    if (usual_ > kLongest && !alone_is_favourite_) return;
    trying_ = true;
    tried_ = better_ = clearly_worse_ = 0;
    lost_ = 0;
  }

  // The median of the tries against the usual time, as soon as it is clear on which side it lies.
  // The first one finds cold caches and sleeping threads: it counts only where it takes far too
  // long.
  void compare(double seconds) {
    lost_ += seconds - usual_;
    const int counted = tried_++;
    if (counted > 0) {
      better_ += static_cast<int>(seconds < kGain * usual_);
      clearly_worse_ += static_cast<int>(seconds > kClear * usual_);
    }
    const bool hopeless = lost_ > kPieces * usual_;
    const int worse = counted - better_;
    if (!hopeless && better_ <= kPieces / 2 && worse <= kPieces / 2) return;
    if (!hopeless && better_ > worse) {
      alone_is_favourite_ = !alone_is_favourite_;
      rest_ = 0;
    } else {
      const bool clear = hopeless || clearly_worse_ == counted;
      rest_ = std::max(clear ? kRest : std::min(kRest, 2 * waited_), lost_ / kShare);
    }
    trying_ = false;
    pieces_ = 0;
    waited_ = 0;
  }

  bool alone_is_favourite_ = false, trying_ = false;
  std::array<double, kPieces> recent_{};
  std::int64_t pieces_ = 0;
  int tried_ = 0, better_ = 0, clearly_worse_ = 0;
  double waited_ = 0, rest_ = 0, usual_ = 0, lost_ = 0;
};

}  // namespace chainrule
