// IQ4_NL: 32 values of 4 bits that index 16 unevenly spaced levels: d * level. Nibbles as in Q4_0.
#ifndef PYLLM_CSRC_FORMATS_IQ4_NL_H_
#define PYLLM_CSRC_FORMATS_IQ4_NL_H_

#include <stdint.h>

#include "formats/fit.h"

namespace pyllm {

// Dense near zero, where most weights are: part of the format's definition.
constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};

// Index of the nearest level: how many midpoints lie below t.
static inline int iq4_index(float t) {
  int index = 0;
  for (int k = 0; k < 15; ++k) {
    index += t > 0.5f * static_cast<float>(kIq4Levels[k] + kIq4Levels[k + 1]) ? 1 : 0;
  }
  return index;
}

struct Iq4Levels {
  float lo = -127.0f, hi = 113.0f;
  float reach = 14.0f;  // a good half of the outermost gap, 23 and 24
  // The level itself, as a sum of gaps: no table look-up, so it works on lanes.
  template <class T>
  T operator()(T t) const {
    T level = T{} + lo;
    for (int k = 0; k < 15; ++k) {
      const T gap = T{} + static_cast<float>(kIq4Levels[k + 1] - kIq4Levels[k]);
      const T midpoint = T{} + 0.5f * static_cast<float>(kIq4Levels[k] + kIq4Levels[k + 1]);
      level += t > midpoint ? gap : T{};
    }
    return level;
  }
};

struct BlockIQ4_NL {
  uint16_t d;  // half
  uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

static inline void dequantize(const BlockIQ4_NL& block, float* y) {
  const float d = half_to_float(block.d);
  for (int j = 0; j < 16; ++j) {
    y[j] = d * static_cast<float>(kIq4Levels[block.qs[j] & 15]);
    y[j + 16] = d * static_cast<float>(kIq4Levels[block.qs[j] >> 4]);
  }
}

static inline void quantize(const float* x, BlockIQ4_NL* block) {
  block->d = half_scale(fit_scale(x, 32, Iq4Levels{}));
  const float inverse = inverse_or_zero(half_to_float(block->d));
  for (int j = 0; j < 16; ++j) {
    block->qs[j] =
        static_cast<uint8_t>(iq4_index(x[j] * inverse) | iq4_index(x[j + 16] * inverse) << 4);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_IQ4_NL_H_
