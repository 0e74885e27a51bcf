// BF16: the upper half of a float; a "block" is one value.
#ifndef PYLLM_CSRC_FORMATS_BF16_H_
#define PYLLM_CSRC_FORMATS_BF16_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockBF16 {
  uint16_t value;
};
static_assert(sizeof(BlockBF16) == 2);

static inline void dequantize(const BlockBF16& block, float* y) { *y = bf16_to_float(block.value); }
static inline void quantize(const float* x, BlockBF16* block) { block->value = float_to_bf16(*x); }

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_BF16_H_
