#include "dispatch.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace chainrule {

#define CHAINRULE_ROW(name, supported) extern const InstructionSet instruction_set_##name;
#include "instruction_sets.inc"
#undef CHAINRULE_ROW

namespace {

struct Candidate {
  const InstructionSet* set;
  bool (*supported)();
};

// instruction_sets.inc is written by CMake: one row per set that it compiled, slowest first.
// __builtin_cpu_supports asks CPUID and, for the wide registers, whether the system saves them.
const Candidate candidates[] = {
#define CHAINRULE_ROW(name, supported) \
  {&instruction_set_##name, []() -> bool { return supported; }},
#include "instruction_sets.inc"
#undef CHAINRULE_ROW
};

std::atomic<const InstructionSet*> in_use{nullptr};

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const InstructionSet* find(const std::string& name, const char* argument) {
  for (const Candidate& c : candidates)
    if (name == c.set->name && c.supported()) return c.set;
  throw std::invalid_argument(std::string(argument) + ": \"" + name +
                              "\" is not an instruction set that this build and this CPU have; "
                              "allowed: " +
                              join(detected_isas()));
}

const InstructionSet* choose() {
  const char* forced = std::getenv("CHAINRULE_ISA");
  if (forced != nullptr && *forced != '\0') return find(forced, "CHAINRULE_ISA");
  const InstructionSet* best = nullptr;
  for (const Candidate& c : candidates)
    if (c.supported()) best = c.set;
  return best;
}

const InstructionSet& current() {
  const InstructionSet* set = in_use.load(std::memory_order_acquire);
  if (set == nullptr) {
    set = choose();
    in_use.store(set, std::memory_order_release);
  }
  return *set;
}

}  // namespace

std::vector<std::string> built_isas() {
  std::vector<std::string> names;
  for (const Candidate& c : candidates) names.emplace_back(c.set->name);
  return names;
}

std::vector<std::string> detected_isas() {
  std::vector<std::string> names;
  for (const Candidate& c : candidates)
    if (c.supported()) names.emplace_back(c.set->name);
  return names;
}

std::string used_isa() { return current().name; }

void set_isa(const std::string& name) {
  in_use.store(find(name, "isa"), std::memory_order_release);
}

template <>
const Kernels<float>& kernels<float>() {
  return *current().f32;
}

template <>
const Kernels<double>& kernels<double>() {
  return *current().f64;
}

}  // namespace chainrule
