// Moves 2-D weights between the file's row-major blocks and 16-row tiles (the R16 layout).
#ifndef PYLLM_CSRC_PACKING_H_
#define PYLLM_CSRC_PACKING_H_

#include <stdint.h>

#include "kernels/table.h"

namespace pyllm {

// Bytes of one packed tile / of the whole packed tensor; -1 when the shape does not fit the type or
// overflows.
int64_t packed_tile_bytes(int type, int64_t cols);
int64_t packed_bytes(int type, int64_t rows, int64_t cols);

// Packs tiles [tile_begin, tile_end) of a tensor whose file bytes start at src. t.data must hold
// packed_bytes().
void pack_tiles(const PackedTensor& t, const uint8_t* src, int64_t tile_begin, int64_t tile_end);
// The inverse, byte for byte: writes rows of those tiles to dst (the file's layout).
void unpack_tiles(const PackedTensor& t, uint8_t* dst, int64_t tile_begin, int64_t tile_end);
// One row as float[cols]; file_row is scratch of packed_row_bytes(t).
void dequantize_packed_row(const PackedTensor& t, int64_t row, uint8_t* file_row, float* out);

}  // namespace pyllm

#endif  // PYLLM_CSRC_PACKING_H_
