// Q4_0: 32 values of 4 bits, one scale: d * (q - 8). Byte j holds values j and j + 16.
#ifndef PYLLM_CSRC_FORMATS_Q4_0_H_
#define PYLLM_CSRC_FORMATS_Q4_0_H_

#include <stdint.h>

#include "formats/fit.h"

namespace pyllm {

struct BlockQ4_0 {
  uint16_t d;  // half
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

static inline void dequantize(const BlockQ4_0& block, float* y) {
  const float d = half_to_float(block.d);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>((block.qs[j] & 15) - 8);
    y[j + 16] = d * static_cast<float>((block.qs[j] >> 4) - 8);
  }
}

static inline void quantize(const float* x, BlockQ4_0* block) {
  const IntegerLevels levels = {-8.0f, 7.0f};
  float q[32];
  block->d = half_scale(fit_scale(x, 32, levels));
  to_levels(x, 32, inverse_or_zero(half_to_float(block->d)), levels, q);
  for (int j = 0; j < 16; ++j) {
    block->qs[j] =
        static_cast<uint8_t>(static_cast<int>(q[j]) + 8 + ((static_cast<int>(q[j + 16]) + 8) << 4));
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q4_0_H_
