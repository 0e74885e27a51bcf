// NVFP4: 64 four-bit floats in sub-blocks of 16, each with a UE4M3 scale. In a sub-block's 8 bytes,
// byte j holds values j and j + 8.
#ifndef PYLLM_CSRC_FORMATS_NVFP4_H_
#define PYLLM_CSRC_FORMATS_NVFP4_H_

#include <stdint.h>

#include "formats/fp4.h"

namespace pyllm {

struct BlockNVFP4 {
  uint8_t d[4];  // UE4M3
  uint8_t qs[32];
};
static_assert(sizeof(BlockNVFP4) == 36);

static inline void dequantize(const BlockNVFP4& block, float* y) {
  for (int b = 0; b < 4; ++b) {
    const float d = ue4m3_half(block.d[b]);
    for (int j = 0; j < 8; ++j) {
      const uint8_t pair = block.qs[8 * b + j];
      y[16 * b + j] = d * static_cast<float>(kFp4Doubled[pair & 15]);
      y[16 * b + j + 8] = d * static_cast<float>(kFp4Doubled[pair >> 4]);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_NVFP4_H_
