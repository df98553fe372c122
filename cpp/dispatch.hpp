// Which instruction sets were built, which of them this CPU and its operating system can run, and
// which one is in use. The choice is made once, on first use; CHAINRULE_ISA or set_isa forces it.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.hpp"

namespace chainrule {

std::vector<std::string> built_isas();     // slowest first
std::vector<std::string> detected_isas();  // those of the built that can run here
std::string used_isa();                    // throws std::invalid_argument for a bad CHAINRULE_ISA
void set_isa(const std::string& name);     // throws std::invalid_argument, listing the possible

// The kernel table in use; T is float or double.
template <class T>
const Kernels<T>& kernels();

}  // namespace chainrule
