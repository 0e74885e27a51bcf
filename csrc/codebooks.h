// Receives the value tables of the IQ1, IQ2 and IQ3 types at run time.
#ifndef PYLLM_CSRC_CODEBOOKS_H_
#define PYLLM_CSRC_CODEBOOKS_H_

#include <stdint.h>

namespace pyllm {

// Values in the codebook of a type; 0 when the type needs none.
int64_t codebook_size(int type);

// True once the codebook of `type` is set.
bool codebook_is_set(int type);

enum class CodebookResult { kSet, kNoCodebook, kWrongSize, kDifferent };

// Sets the codebook; the same values again are accepted, other values are refused (kDifferent):
// packed tensors may be in use. Thread-safe.
CodebookResult set_codebook(int type, const int8_t* values, int64_t n);

}  // namespace pyllm

#endif  // PYLLM_CSRC_CODEBOOKS_H_
