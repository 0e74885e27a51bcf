// TQ1_0: 256 ternary values d * (t - 1), five trits to a byte (four in qh). A byte is the number
// 0.t0t1t2t3t4 in base 3 scaled to 256 and rounded up, so trit k is the top of byte * 3^k * 3.
#ifndef PYLLM_CSRC_FORMATS_TQ1_0_H_
#define PYLLM_CSRC_FORMATS_TQ1_0_H_

#include <stdint.h>
#include <string.h>

#include "formats/decoded_block.h"
#include "formats/ternary.h"

namespace pyllm {

struct BlockTQ1_0 {
  uint8_t qs[48];  // bytes 0-31: trit k of byte l is value 32k + l; bytes 32-47: 160 + 16k + l
  uint8_t qh[4];   // trit k of byte l is value 240 + 4k + l
  uint16_t d;      // half
};
static_assert(sizeof(BlockTQ1_0) == 54);

// The first kTrits trits of kBytes bytes, minus 1: 3 * byte / 256 reaches 1 at 86 and 2 at 171.
template <int kBytes, int kTrits>
static inline void tq1_trits(const uint8_t* bytes, int8_t* q) {
  uint8_t rest[kBytes];
  memcpy(rest, bytes, sizeof rest);
  for (int k = 0; k < kTrits; ++k) {
    for (int l = 0; l < kBytes; ++l) {
      q[kBytes * k + l] = static_cast<int8_t>((rest[l] >= 86) + (rest[l] >= 171) - 1);
      rest[l] = static_cast<uint8_t>(3 * rest[l]);
    }
  }
}

static inline void decode(const BlockTQ1_0& block, DecodedBlock* out) {
  out->d = half_to_float(block.d);
  for (float& scale : out->scale) scale = 1.0f;
  tq1_trits<32, 5>(block.qs, out->q);
  tq1_trits<16, 5>(block.qs + 32, out->q + 160);
  tq1_trits<4, 4>(block.qh, out->q + 240);
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
