// Who does the work: against workers whose times are made up.
#include <algorithm>

#include "check.hpp"
#include "pace.hpp"

namespace {

using chainrule::Pace;

struct Ran {
  int alone = 0, together = 0, changes = 0;
  double seconds = 0;
};

// `pieces` of work, of which piece i takes time(alone, i) seconds.
template <class Time>
Ran run(Pace& pace, int pieces, const Time& time) {
  Ran ran;
  bool before = pace.alone();
  for (int i = 0; i < pieces; ++i) {
    const bool alone = pace.alone();
    const double seconds = time(alone, i);
    ran.changes += static_cast<int>(alone != before);
    before = alone;
    ++(alone ? ran.alone : ran.together);
    ran.seconds += seconds;
    pace.took(seconds);
  }
  return ran;
}

void the_faster_one_does_nearly_all() {
  for (const double alone : {20e-6, 49e-6, 64e-6, 100e-6, 400e-6}) {
    const double together = 50e-6;
    Pace pace;
    const Ran ran =
        run(pace, 100000, [&](bool is_alone, int) { return is_alone ? alone : together; });
    const double best = 100000 * std::min(alone, together);
    // 49 of 50 is no gain worth a change.
    const double allowed = alone == 49e-6 ? 1.03 : 1.01;
    CHECK(ran.seconds < allowed * best) << "alone " << alone << ": " << ran.seconds / best;
    CHECK((ran.alone > ran.together) == (alone < 49e-6)) << alone;
  }
}

void few_pieces_are_for_the_team() {
  Pace pace;
  CHECK(run(pace, 100, [](bool, int) { return 1e-5; }).alone == 0);
}

// However many threads the team has: little is lost, and nobody waits for a long piece alone.
void trials_are_cheap() {
  for (const double times : {1.5, 2.0, 4.0, 16.0, 64.0})
    for (const double together : {50e-6, 2e-3, 0.019}) {
      Pace pace;
      const Ran ran =
          run(pace, 20000, [&](bool alone, int) { return (alone ? times : 1) * together; });
      const double best = 20000 * together;
      CHECK(ran.alone > 0 && ran.seconds < 1.02 * best)
          << times << " times " << together << ": " << ran.seconds / best;
    }
  Pace pace;
  CHECK(run(pace, 4000, [](bool alone, int) { return alone ? 0.01 : 0.1; }).alone == 0);
}

void a_hopeless_trial_ends_at_once() {
  Pace pace;
  CHECK(run(pace, 300, [](bool alone, int) { return alone ? 8e-3 : 50e-6; }).alone == 1);
}

void a_lost_trial_ends_early() {
  Pace pace;
  const Ran ran = run(pace, 300, [](bool alone, int) { return alone ? 100e-6 : 50e-6; });
  CHECK(ran.alone == 4) << ran.alone << ": one that does not count, three that are too many";
}

void a_close_trial_is_repeated_soon() {
  Pace pace;
  CHECK(run(pace, 2000, [](bool alone, int) { return alone ? 55e-6 : 50e-6; }).alone > 12);
}

// Cores that come apart and together again.
void it_follows_what_changes() {
  Pace pace;
  const auto near = [](bool alone, int) { return alone ? 60e-6 : 35e-6; };
  const auto far = [](bool alone, int) { return alone ? 60e-6 : 80e-6; };
  const Ran first = run(pace, 60000, near), second = run(pace, 60000, far),
            third = run(pace, 60000, near);
  CHECK(first.together > 59000 && second.alone > 30000 && third.together > 30000)
      << first.together << " " << second.alone << " " << third.together;
  CHECK(run(pace, 60000, near).together > 59000);
}

// One time in seven somebody else has the core: medians do not see it.
void noise_changes_nothing() {
  Pace pace;
  unsigned state = 1;
  const Ran ran = run(pace, 50000, [&](bool alone, int) {
    state = state * 1664525u + 1013904223u;
    const double usual = alone ? 60e-6 : 45e-6;
    return state >> 16 < 9362 ? 20 * usual : usual * (0.97 + 0.06 * (state >> 16) / 65536.0);
  });
  CHECK(ran.together > 0.99 * 50000) << ran.together;
}

void the_same_time_is_no_reason_to_change() {
  Pace pace;
  const Ran ran = run(pace, 100000, [](bool, int) { return 5e-5; });
  CHECK(ran.together > 99000) << ran.together;
}

}  // namespace

int main() {
  the_faster_one_does_nearly_all();
  few_pieces_are_for_the_team();
  trials_are_cheap();
  a_hopeless_trial_ends_at_once();
  a_lost_trial_ends_early();
  a_close_trial_is_repeated_soon();
  it_follows_what_changes();
  noise_changes_nothing();
  the_same_time_is_no_reason_to_change();
  return report("pace");
}
