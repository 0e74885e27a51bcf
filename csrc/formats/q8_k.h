// Q8_K: 256 values of 8 bits, a float scale. Made for activations; decoded in case a file holds it.
#ifndef PYLLM_CSRC_FORMATS_Q8_K_H_
#define PYLLM_CSRC_FORMATS_Q8_K_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockQ8_K {
  uint8_t d[4];  // float; a byte array keeps the block free of alignment
  int8_t qs[256];
  int16_t sums[16];  // of 16 consecutive q
};
static_assert(sizeof(BlockQ8_K) == 292);

static inline void dequantize(const BlockQ8_K& block, float* y) {
  float d;
  memcpy(&d, block.d, sizeof d);
  for (int j = 0; j < 256; ++j) y[j] = d * static_cast<float>(block.qs[j]);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q8_K_H_
