// MXFP4: 32 four-bit floats with one power-of-two scale (OCP MX v1.0). Nibbles as in Q4_0.
#ifndef PYLLM_CSRC_FORMATS_MXFP4_H_
#define PYLLM_CSRC_FORMATS_MXFP4_H_

#include <stdint.h>

#include "formats/fit.h"
#include "formats/fp4.h"

namespace pyllm {

struct BlockMXFP4 {
  uint8_t e;  // E8M0: 2^(e - 127)
  uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

static inline void dequantize(const BlockMXFP4& block, float* y) {
  const float d = e8m0_half(block.e);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(kFp4Doubled[block.qs[j] & 15]);
    y[j + 16] = d * static_cast<float>(kFp4Doubled[block.qs[j] >> 4]);
  }
}

static inline float mxfp4_error(const float* x, uint8_t e) {
  const float d = e8m0_half(e), inverse = 1.0f / d;
  float error = 0.0f;
  for (int i = 0; i < 32; ++i) {
    // In units of d the largest value is below 32, so no square overflows.
    const float t = x[i] * inverse;
    const float off = t - static_cast<float>(kFp4Doubled[fp4_nearest(t)]);
    error += off * off;
  }
  return error * d * d;
}

static inline void quantize(const float* x, BlockMXFP4* block) {
  const float peak = fabsf(peak_of(x, 32));
  *block = {};
  if (!(peak >= 0x1p-120f)) return;  // smaller than any scale worth keeping; a NaN ends here too
  // With the peak in [4, 8) units it is at most clipped to 6; a scale twice as large never clips.
  const int exponent = static_cast<int>(float_bits(peak) >> 23) - 2;
  const uint8_t tight = static_cast<uint8_t>(exponent < 252 ? exponent : 252);
  const uint8_t wide = static_cast<uint8_t>(tight < 252 ? tight + 1 : tight);  // 253: 8 is Inf
  block->e = mxfp4_error(x, wide) < mxfp4_error(x, tight) ? wide : tight;
  const float inverse = 1.0f / e8m0_half(block->e);
  for (int j = 0; j < 16; ++j) {
    block->qs[j] =
        static_cast<uint8_t>(fp4_nearest(x[j] * inverse) | fp4_nearest(x[j + 16] * inverse) << 4);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_MXFP4_H_
