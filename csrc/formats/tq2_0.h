// TQ2_0: 256 ternary values d * (q - 1), two bits each (q = 3 decodes as 2d). 32 bytes hold 128
// values: bits 2k of byte l are value 32k + l.
#ifndef PYLLM_CSRC_FORMATS_TQ2_0_H_
#define PYLLM_CSRC_FORMATS_TQ2_0_H_

#include <stdint.h>

#include "formats/decoded_block.h"
#include "formats/ternary.h"

namespace pyllm {

struct BlockTQ2_0 {
  uint8_t qs[64];
  uint16_t d;  // half
};
static_assert(sizeof(BlockTQ2_0) == 66);

static inline void decode(const BlockTQ2_0& block, DecodedBlock* out) {
  out->d = half_to_float(block.d);
  for (float& scale : out->scale) scale = 1.0f;
  for (int group = 0; group < 8; ++group) {
    const uint8_t* qs = block.qs + group / 4 * 32;
    const int shift = group % 4 * 2;
    for (int l = 0; l < 32; ++l) {
      out->q[32 * group + l] = static_cast<int8_t>(((qs[l] >> shift) & 3) - 1);
    }
  }
}

static inline void quantize(const float* x, BlockTQ2_0* block) {
  *block = {};
  block->d = fit_ternary(x, 256);
  const float inverse = inverse_or_zero(half_to_float(block->d));
  for (int group = 0; group < 8; ++group) {
    uint8_t* qs = block->qs + group / 4 * 32;
    for (int l = 0; l < 32; ++l) {
      const int q = trit(x[32 * group + l], inverse);
      qs[l] = static_cast<uint8_t>(qs[l] | q << group % 4 * 2);
    }
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_TQ2_0_H_
