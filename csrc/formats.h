// The table of GGUF weight types, built from formats/formats.def.
#ifndef PYLLM_CSRC_FORMATS_H_
#define PYLLM_CSRC_FORMATS_H_

#include <stdint.h>

#include "formats/decoded_block.h"

namespace pyllm {

struct FormatInfo {
  int id;            // ggml type id
  const char* name;  // as in GGUF: "Q4_K"
  int block_elems;   // values per block
  int block_bytes;
  // n values, a multiple of block_elems; neither side needs alignment. The result is the exact
  // sequence of IEEE operations the type's header spells out, so it is the same on every machine.
  void (*dequantize_row)(const void* blocks, float* y, int64_t n);
  // Null when the type has no encoder. Memory-safe for any input; meaningful for finite input.
  void (*quantize_row)(const float* x, void* blocks, int64_t n);
  // One block, at an even address, as small integers; null for types that kernels read themselves.
  void (*decode_block)(const void* block, DecodedBlock* out);
};

// Null for an unknown type.
const FormatInfo* format_info(int type);

// All types, in the order of formats.def.
const FormatInfo* all_formats(int* count);

// Bytes of a row of `cols` values; -1 when the type is unknown, cols is not a multiple of the
// block, or the size overflows.
int64_t format_row_bytes(int type, int64_t cols);

// False for an IQ1, IQ2 or IQ3 type whose codebook has not been handed over yet: it would decode to
// zeros.
bool format_ready(int type);

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_H_
