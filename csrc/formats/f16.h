// F16: IEEE binary16; a "block" is one value.
#ifndef PYLLM_CSRC_FORMATS_F16_H_
#define PYLLM_CSRC_FORMATS_F16_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockF16 {
  uint16_t value;
};
static_assert(sizeof(BlockF16) == 2);

static inline void dequantize(const BlockF16& block, float* y) { *y = half_to_float(block.value); }
static inline void quantize(const float* x, BlockF16* block) { block->value = float_to_half(*x); }

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_F16_H_
