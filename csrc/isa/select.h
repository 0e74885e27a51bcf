// Which instruction set runs: the best one the CPU and the operating system support, or PYLLM_ISA.
#ifndef PYLLM_CSRC_ISA_SELECT_H_
#define PYLLM_CSRC_ISA_SELECT_H_

#include <string>
#include <vector>

#include "kernels/table.h"

namespace pyllm {

// The active table. Chosen at first use; throws std::runtime_error when PYLLM_ISA names something
// unusable.
const KernelTable& kernels();

// Names usable on this machine, best first. Where the CPU has tile registers, asking whether they
// may be used is what makes Linux grant them to this process.
std::vector<std::string> supported_isas();

// Why `name` cannot be used here: empty when it can, else the missing feature.
std::string missing_feature(const std::string& name);

// Switches the table; throws std::invalid_argument with the reason. Not for use while a step runs.
void set_isa(const std::string& name);

// What panels_pay() of kernels/table.h answers from now on (for tests): without it, whether the CPU
// is not one of AMD's. Not for use while a step runs.
void set_panels_pay(bool pay);

}  // namespace pyllm

#endif  // PYLLM_CSRC_ISA_SELECT_H_
