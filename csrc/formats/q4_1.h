// Q4_1: 32 values of 4 bits, scale and minimum: d * q + m. Byte j holds values j and j + 16.
#ifndef PYLLM_CSRC_FORMATS_Q4_1_H_
#define PYLLM_CSRC_FORMATS_Q4_1_H_

#include <stdint.h>

#include "formats/fit_affine.h"

namespace pyllm {

struct BlockQ4_1 {
  uint16_t d, m;  // halves
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

static inline void dequantize(const BlockQ4_1& block, float* y) {
  const float d = half_to_float(block.d), m = half_to_float(block.m);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(block.qs[j] & 15) + m;
    y[j + 16] = d * static_cast<float>(block.qs[j] >> 4) + m;
  }
}

static inline void quantize(const float* x, BlockQ4_1* block) {
  const Affine fit = fit_affine(x, 32, 15.0f, false);
  float q[32];
  block->d = half_scale(fit.scale);
  block->m = half_scale(-fit.min);
  to_affine(x, 32, {half_to_float(block->d), -half_to_float(block->m)}, 15.0f, q);
  for (int j = 0; j < 16; ++j) {
    block->qs[j] =
        static_cast<uint8_t>(static_cast<int>(q[j]) + (static_cast<int>(q[j + 16]) << 4));
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q4_1_H_
