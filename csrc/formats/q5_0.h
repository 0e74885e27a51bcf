// Q5_0: 32 values of 5 bits, one scale: d * (q - 16). Low bits as in Q4_0, bit j of qh is value j's
// fifth.
#ifndef PYLLM_CSRC_FORMATS_Q5_0_H_
#define PYLLM_CSRC_FORMATS_Q5_0_H_

#include <stdint.h>

#include "formats/fit.h"

namespace pyllm {

struct BlockQ5_0 {
  uint16_t d;  // half
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

static inline void dequantize(const BlockQ5_0& block, float* y) {
  const float d = half_to_float(block.d);
  for (int j = 0; j < 16; ++j) {
    const int low = ((block.qh[j / 8] >> j % 8) & 1) << 4;
    const int high = ((block.qh[2 + j / 8] >> j % 8) & 1) << 4;
    y[j] = d * static_cast<float>(((block.qs[j] & 15) | low) - 16);
    y[j + 16] = d * static_cast<float>(((block.qs[j] >> 4) | high) - 16);
  }
}

static inline void quantize(const float* x, BlockQ5_0* block) {
  const IntegerLevels levels = {-16.0f, 15.0f};
  float q[32];
  block->d = half_scale(fit_scale(x, 32, levels));
  to_levels(x, 32, inverse_or_zero(half_to_float(block->d)), levels, q);
  uint32_t fifth = 0;
  for (int j = 0; j < 16; ++j) {
    const uint32_t low = static_cast<uint32_t>(static_cast<int>(q[j]) + 16);
    const uint32_t high = static_cast<uint32_t>(static_cast<int>(q[j + 16]) + 16);
    block->qs[j] = static_cast<uint8_t>((low & 15) | (high & 15) << 4);
    fifth |= low >> 4 << j | high >> 4 << (j + 16);
  }
  for (int k = 0; k < 4; ++k) block->qh[k] = static_cast<uint8_t>(fifth >> 8 * k);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q5_0_H_
