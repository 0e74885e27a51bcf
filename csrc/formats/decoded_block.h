// What a block of an IQ1, IQ2, IQ3 or ternary type decodes to: small integers, as the matrix
// kernels multiply them.
#ifndef PYLLM_CSRC_FORMATS_DECODED_BLOCK_H_
#define PYLLM_CSRC_FORMATS_DECODED_BLOCK_H_

#include <stdint.h>

namespace pyllm {

// 256 values d * scale[i / 16] * q[i]. The product is exact: a half of 11 bits, a scale of at most
// 5 and a quant of at most 7 fit a float's 24.
struct DecodedBlock {
  int8_t q[256];    // in [-64, 63]
  float scale[16];  // an integer, so that d is all that was rounded
  float d;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_DECODED_BLOCK_H_
