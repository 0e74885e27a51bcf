// F32: plain floats; a "block" is one value.
#ifndef PYLLM_CSRC_FORMATS_F32_H_
#define PYLLM_CSRC_FORMATS_F32_H_

#include <stdint.h>

namespace pyllm {

struct BlockF32 {
  float value;
};
static_assert(sizeof(BlockF32) == 4);

static inline void dequantize(const BlockF32& block, float* y) { *y = block.value; }
static inline void quantize(const float* x, BlockF32* block) { block->value = *x; }

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_F32_H_
