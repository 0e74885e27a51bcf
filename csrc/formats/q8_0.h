// Q8_0: 32 values of 8 bits, one scale: d * q. The encoder keeps |q| <= 127.
#ifndef PYLLM_CSRC_FORMATS_Q8_0_H_
#define PYLLM_CSRC_FORMATS_Q8_0_H_

#include <stdint.h>

#include "formats/fit.h"

namespace pyllm {

struct BlockQ8_0 {
  uint16_t d;  // half
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

static inline void dequantize(const BlockQ8_0& block, float* y) {
  const float d = half_to_float(block.d);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(block.qs[j]);
}

static inline void quantize(const float* x, BlockQ8_0* block) {
  // At 8 bits a search gains under 1 % of the error: the largest value simply takes 127.
  block->d = half_scale(fabsf(peak_of(x, 32)) / 127.0f);
  const float inverse = inverse_or_zero(half_to_float(block->d));
  for (int j = 0; j < 32; ++j) {
    block->qs[j] = static_cast<int8_t>(rounded_int(x[j] * inverse, -127, 127));
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q8_0_H_
