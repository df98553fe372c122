// This file and the .inl files it includes are compiled once per instruction set, with
// CHAINRULE_ISA set to its name, and export one symbol: the table. Everything else is in an
// anonymous namespace and free of the STL, because an inline function with external linkage would
// exist once per instruction set and the linker would keep any one of them.
#include <cstddef>
#include <cstdint>

#include "kernels.hpp"

#define CHAINRULE_PASTE_(a, b) a##b
#define CHAINRULE_PASTE(a, b) CHAINRULE_PASTE_(a, b)
#define CHAINRULE_STRING_(a) #a
#define CHAINRULE_STRING(a) CHAINRULE_STRING_(a)

namespace chainrule {
namespace {

#include "simd.inl"
// which all of these stand on:
#include "activation.inl"
#include "dropout.inl"
#include "gemm.inl"
#include "loss.inl"
#include "optimizer.inl"
#include "peak.inl"
// and on gemm.inl:
#include "columns.inl"

template <class T>
constexpr Kernels<T> kTable = {
    CHAINRULE_STRING(CHAINRULE_ISA),
    kPanel<T>,
    pack<T>,
    forward<T>,
    backward<T>,
    gradient<T>,
    forward_columns<T>,
    gradient_columns<T>,
    gradient_scratch<T>,
    gather<T>,
    scatter<T>,
    activate<T>,
    derive<T>,
    evaluate<T>,
    loss<T>,
    loss_columns<T>,
    add<T>,
    drop<T>,
    sums<T>,
    finite<T>,
    update<T>,
    fma_peak<T>,
};

}  // namespace

extern const InstructionSet CHAINRULE_PASTE(instruction_set_, CHAINRULE_ISA);
const InstructionSet CHAINRULE_PASTE(instruction_set_, CHAINRULE_ISA) = {
    CHAINRULE_STRING(CHAINRULE_ISA), &kTable<float>, &kTable<double>};

}  // namespace chainrule
