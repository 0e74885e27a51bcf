// Q5_1: 32 values of 5 bits, scale and minimum: d * q + m. Bits placed as in Q5_0.
#ifndef PYLLM_CSRC_FORMATS_Q5_1_H_
#define PYLLM_CSRC_FORMATS_Q5_1_H_

#include <stdint.h>

#include "formats/fit_affine.h"

namespace pyllm {

struct BlockQ5_1 {
  uint16_t d, m;  // halves
  uint8_t qh[4];
  uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

static inline void dequantize(const BlockQ5_1& block, float* y) {
  const float d = half_to_float(block.d), m = half_to_float(block.m);
  for (int j = 0; j < 16; ++j) {
    const int low = ((block.qh[j / 8] >> j % 8) & 1) << 4;
    const int high = ((block.qh[2 + j / 8] >> j % 8) & 1) << 4;
    y[j] = d * static_cast<float>((block.qs[j] & 15) | low) + m;
    y[j + 16] = d * static_cast<float>((block.qs[j] >> 4) | high) + m;
  }
}

static inline void quantize(const float* x, BlockQ5_1* block) {
  const Affine fit = fit_affine(x, 32, 31.0f, false);
  float q[32];
  block->d = half_scale(fit.scale);
  block->m = half_scale(-fit.min);
  to_affine(x, 32, {half_to_float(block->d), -half_to_float(block->m)}, 31.0f, q);
  uint32_t fifth = 0;
  for (int j = 0; j < 16; ++j) {
    const uint32_t low = static_cast<uint32_t>(q[j]), high = static_cast<uint32_t>(q[j + 16]);
    block->qs[j] = static_cast<uint8_t>((low & 15) | (high & 15) << 4);
    fifth |= low >> 4 << j | high >> 4 << (j + 16);
  }
  for (int k = 0; k < 4; ++k) block->qh[k] = static_cast<uint8_t>(fifth >> 8 * k);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q5_1_H_
