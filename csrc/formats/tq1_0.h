// TQ1_0: 256 ternary values d * (t - 1), five trits to a byte (four in qh). A byte is the number
// 0.t0t1t2t3t4 in base 3 scaled to 256 and rounded up, so trit k is the top of byte * 3^k * 3.
#ifndef PYLLM_CSRC_FORMATS_TQ1_0_H_
#define PYLLM_CSRC_FORMATS_TQ1_0_H_

#include <stdint.h>

#include "formats/decoded_block.h"
#include "formats/ternary.h"

namespace pyllm {

struct BlockTQ1_0 {
  uint8_t qs[48];  // bytes 0-31: trit k of byte l is value 32k + l; bytes 32-47: 160 + 16k + l
  uint8_t qh[4];   // trit k of byte l is value 240 + 4k + l
  uint16_t d;      // half
};
static_assert(sizeof(BlockTQ1_0) == 54);

constexpr uint8_t kPowersOf3[5] = {1, 3, 9, 27, 81};

static inline int8_t tq1_trit(uint8_t byte, int k) {
  const uint8_t shifted = static_cast<uint8_t>(byte * kPowersOf3[k]);
  return static_cast<int8_t>((shifted * 3 >> 8) - 1);
}

static inline void decode(const BlockTQ1_0& block, DecodedBlock* out) {
  out->d = half_to_float(block.d);
  for (float& scale : out->scale) scale = 1.0f;
  for (int k = 0; k < 5; ++k) {
    for (int l = 0; l < 32; ++l) out->q[32 * k + l] = tq1_trit(block.qs[l], k);
    for (int l = 0; l < 16; ++l) out->q[160 + 16 * k + l] = tq1_trit(block.qs[32 + l], k);
  }
  for (int k = 0; k < 4; ++k) {
    for (int l = 0; l < 4; ++l) out->q[240 + 4 * k + l] = tq1_trit(block.qh[l], k);
  }
}

// The byte of `count` trits whose values lie `stride` apart; missing ones are zero digits.
static inline uint8_t tq1_byte(const float* x, int stride, int count, float inverse) {
  int number = 0;
  for (int k = 0; k < 5; ++k) number = number * 3 + (k < count ? trit(x[k * stride], inverse) : 0);
  return static_cast<uint8_t>((number * 256 + 242) / 243);
}

static inline void quantize(const float* x, BlockTQ1_0* block) {
  block->d = fit_ternary(x, 256);
  const float inverse = inverse_or_zero(half_to_float(block->d));
  for (int l = 0; l < 32; ++l) block->qs[l] = tq1_byte(x + l, 32, 5, inverse);
  for (int l = 0; l < 16; ++l) block->qs[32 + l] = tq1_byte(x + 160 + l, 16, 5, inverse);
  for (int l = 0; l < 4; ++l) block->qh[l] = tq1_byte(x + 240 + l, 4, 4, inverse);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_TQ1_0_H_
