// Q8_1: Q8_0 with s = d * (sum of q). Made for activations; decoded in case a file holds it.
#ifndef PYLLM_CSRC_FORMATS_Q8_1_H_
#define PYLLM_CSRC_FORMATS_Q8_1_H_

#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

struct BlockQ8_1 {
  uint16_t d, s;  // halves
  int8_t qs[32];
};
static_assert(sizeof(BlockQ8_1) == 36);

static inline void dequantize(const BlockQ8_1& block, float* y) {
  const float d = half_to_float(block.d);
  for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(block.qs[j]);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_Q8_1_H_
