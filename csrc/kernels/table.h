// What one instruction set offers: plain structs and function pointers, nothing that emits inline code.
#ifndef PYLLM_CSRC_KERNELS_TABLE_H_
#define PYLLM_CSRC_KERNELS_TABLE_H_

#include <stddef.h>
#include <stdint.h>

namespace pyllm {

// Rows of a packed weight that share one tile: one SIMD lane per row on every instruction set.
constexpr int64_t kTileRows = 16;

// How a matmul wants its activations. One record per token, kActAlign-aligned.
enum ActKind : int {
  kActF32 = 0,     // float x[cols]
  kActQ8x32 = 1,   // int8 q[cols], float d[cols/32], int32 sum32[cols/32]           cols % 32 == 0
  kActQ8x128 = 2,  // int8 q[cols], float d[cols/128], int16 sum32[cols/32],
                   // int32 bias16[cols/16] = -32 * (sum of 16 q)                    cols % 256 == 0
};
constexpr int kNumActKinds = 3;
constexpr int64_t kActAlign = 64;

// A 2-D weight in tiles of 16 rows; rows past the end are zero blocks. data is 64-byte aligned.
struct PackedTensor {
  int type;            // ggml type id
  int64_t rows;        // outputs
  int64_t cols;        // inputs (K)
  int64_t tile_bytes;  // bytes from one 16-row tile to the next
  uint8_t* data;
};

// y[t * ldy + (row - 16 * tile_begin)] = sum_k W[row][k] * x[t][k] for the rows of tiles [tile_begin, tile_end).
struct MatmulArgs {
  const PackedTensor* w;
  int64_t tile_begin, tile_end;
  const void* act;     // n_tokens records of the kind act_kind(w->type) asks for
  int64_t act_stride;  // bytes between records
  int64_t n_tokens;
  float* y;
  int64_t ldy;  // floats between tokens
};

// One strided field of a block, moved element by element into lines of 16 rows.
struct PackField {
  int32_t src;    // byte offset inside the file's block
  int32_t dst;    // byte offset inside the packed block of 16 rows
  int32_t count;  // elements
  int32_t size;   // bytes per element: 2 or 4
};

struct PackArgs {
  const PackField* fields;
  int n_fields;
  uint32_t flip;  // xor-ed into every 4-byte element (0x80808080 turns int8 into biased uint8)
  const uint8_t* src;
  int64_t src_row_bytes;
  int64_t src_block_bytes;
  int64_t n_blocks;  // blocks in a row
  uint8_t* dst;      // one tile
  int64_t dst_block_bytes;
};

struct KernelTable {
  const char* name;

  // Matmul (kernels/matmul*.h, kernels/quantize_act.h, kernels/pack.h).
  void (*matmul)(const MatmulArgs*);
  void (*quantize_act)(ActKind kind, const float* x, int64_t cols, void* record);
  void (*pack_tile)(const PackArgs*);
  void (*unpack_tile)(const PackArgs*);  // src is written, dst is read

  // --- program kernels (kernels/{norm,rope,activation,attention}.h) ---
};

// Activation kind a weight type multiplies with, and bytes of one record (a multiple of kActAlign).
ActKind act_kind(int type);
int64_t act_bytes(ActKind kind, int64_t cols);

}  // namespace pyllm

#endif  // PYLLM_CSRC_KERNELS_TABLE_H_
