// What one instruction set offers: plain structs and function pointers, nothing that emits inline
// code.
#ifndef PYLLM_CSRC_KERNELS_TABLE_H_
#define PYLLM_CSRC_KERNELS_TABLE_H_

#include <stddef.h>
#include <stdint.h>

#include "formats/decoded_block.h"
#include "kernels/kv_panel.h"

namespace pyllm {

// Rows of a packed weight that share one tile: one SIMD lane per row on every instruction set.
constexpr int64_t kTileRows = 16;

// How a matmul wants its activations: as blocks, the same block of all tokens side by side, so that
// register tile after register tile reads one run of bytes.
enum ActKind : int {
  kActF32 = 0,     // float x[cols], one block a token
  kActQ8x32 = 1,   // blocks ActBlock8x32 of 256 elements
  kActQ8x128 = 2,  // cols/256 blocks ActBlock256
};
// int8 activations, x = d * q, with the sums that undo weight offsets (in units of 8 and 32) and
// multiply minimums. What a register tile needs of a token is one run of bytes: one pointer a
// token.
struct ActBlock8x32 {  // the last of a row may be partly used
  int8_t q[256];
  float d[8];        // of 32 elements each
  int32_t bias8[8];  // -8 * (sum of 32 q)
  float sum[8];      // d * (sum of 32 q)
};
struct ActBlock256 {
  int8_t q[256];
  float d[2];          // of 128 elements each
  int16_t sum32[8];    // sums of 32 q
  int16_t sum16[16];   // sums of 16 q
  int32_t bias16[16];  // -32 * sum16
  int32_t square[2];   // sums of 128 q * q: what matmul_tiles.h bounds its sums by
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

// y[t * ldy + (row - 16 * tile_begin)] = sum_k W[row][k] * x[t][k] for the rows of tiles
// [tile_begin, tile_end).
struct MatmulArgs {
  const PackedTensor* w;
  int64_t tile_begin, tile_end;
  const uint8_t* act;        // blocks of the kind act_kind(w->type) asks for, kActAlign-aligned
  int64_t act_stride;        // bytes from a token to the next
  int64_t act_block_stride;  // bytes from a token's block to its next
  int64_t n_tokens;
  float* y;
  int64_t ldy;  // floats between tokens
};

enum class Packing : uint8_t {
  kWhole,      // elements as they are
  kBitPlanes,  // 4-byte elements of 32 bits: bit 4g + b of the file becomes bit g of byte b
  kSixBits,    // all weights of a Q6_K block: four lines in three (r16.h)
};

// One strided field of a block, moved element by element into lines of 16 rows, unless `how` says
// otherwise.
struct PackField {
  int32_t src;    // byte offset inside the file's block
  int32_t dst;    // byte offset inside the packed block of 16 rows
  int32_t count;  // elements
  int32_t size;   // bytes per element: 1, 2 or 4
  Packing how = Packing::kWhole;
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

// Attention works on chunks of this many tokens, at multiples of it, whatever the batch: partial
// results are merged in ascending order, so a row's result depends on nothing but its own tokens.
constexpr int64_t kAttentionChunk = 256;
constexpr int64_t kAttentionRows = 64;  // most query rows in one call

constexpr int64_t kPanelsAhead = 4;  // panels named for prefetching behind those of a call
constexpr int64_t kMaxPanels = 2 * (kAttentionChunk / kPanelTokens) + kPanelsAhead;

// Query rows that share a KV head against one chunk, whose panels of 16 tokens are listed in the
// order they are read: n_panels of keys, n_panels of values (both as kv_panel.h lays them out), and
// kPanelsAhead that will be read next, only prefetched. Scores are in units of log2: q carries the
// factor log2(e). A row that sees no token gets no max and no sum, and its out means nothing.
struct AttentionArgs {
  KvType k_type, v_type;
  int64_t n_rows, k_dim, v_stride;  // v_stride is a multiple of 16
  const float* q;                   // [n_rows][k_dim], already scaled
  // [n_rows] each, ascending, 0 to 256: the row sees the tokens from n_hidden to n_visible - 1.
  const int32_t *n_hidden, *n_visible;
  const uint16_t* const* panels;
  int64_t n_panels;  // 1 to 16, as many as the last row sees
  float* scores;     // scratch [n_rows][256]
  float* tile;       // scratch [max(64 * k_dim, 4096)]
  float* max;        // [n_rows] largest score
  float* sum;        // [n_rows] sum of 2^(score - max)
  float* out;        // [n_rows][v_stride] sum of 2^(score - max) * value
};

struct KernelTable {
  const char* name;
  int64_t
      token_step;  // a matmul takes tokens in register tiles of so many: best by multiples of it

  // Matmul (kernels/matmul*.h, kernels/quantize_act.h, kernels/pack.h).
  void (*matmul)(const MatmulArgs*);
  void (*quantize_act)(ActKind kind, const float* x, int64_t cols, uint8_t* first_block,
                       int64_t block_stride);
  void (*pack_tile)(const PackArgs*);

  // Programs (kernels/{norm,rope,activation,sigmoid_gate,weighted_sum,kv_store,attention,
  // vocabulary}.h, which say what each does).
  void (*rms_norm)(const float* x, const float* w, float* y, int64_t n, float eps);
  void (*rope)(const float* x, const float* cosines, const float* sines, float* y, int64_t n_pairs,
               int64_t n, bool neox);
  void (*silu_mul)(const float* gate, const float* up, float* y, int64_t n);
  void (*sigmoid_gate)(const float* x, const float* w, int64_t n, const float* y, float* out,
                       int64_t n_out);
  void (*weighted_sum)(const float* rows, int64_t stride, const int32_t* places,
                       const float* weights, int64_t n_rows, const float* base, float* y,
                       int64_t n);
  void (*store_key)(KvType type, const float* key, int64_t k_dim, uint16_t* panel, int64_t lane);
  void (*store_value)(KvType type, const float* value, int64_t v_dim, uint16_t* panel,
                      int64_t lane);
  void (*attention_chunk)(const AttentionArgs*);
  void (*attention_merge)(float* max, float* sum, float* out, float next_max, float next_sum,
                          const float* next_out, int64_t n);
  void (*attention_finish)(const float* out, float sum, float* dst, int64_t n);
  float (*row_max)(const float* x, int64_t n, bool* finite);
  float (*exp_sum)(const float* x, int64_t n, float shift, float scale, float* terms);
  void (*tile_max)(const float* x, int64_t n, float* maxima);
};

// Whether many tokens are faster through weights unpacked once, into panels, than through weights
// unpacked again for each token group. Where masks and shifts have ports of their own they are not:
// 16 to 512 tokens of Q4_K run at 320 to 335 instead of 260 to 270 GMAC/s on two cores of a Zen 4,
// while the two vector ports that an Intel core gives 512 bits are those of the products. Results
// are the same bit for bit.
bool panels_pay();

// Activation kind a weight type multiplies with, and where the blocks of `n_tokens` tokens lie.
ActKind act_kind(int type);
struct ActLayout {
  int64_t token_stride, block_stride;  // bytes
  int64_t bytes;                       // of all tokens, a multiple of kActAlign
};
ActLayout act_layout(ActKind kind, int64_t cols, int64_t n_tokens);

// For types without packed kernels, whose tiles are 16 plain file rows: bytes of a row, and
// columns [k0, k0 + n) of one row as float (k0 a multiple of 256, n at most 256).
int64_t packed_row_bytes(const PackedTensor& w);
void decode_columns(int type, const uint8_t* row, int64_t k0, int64_t n, float* out);
// Of those, the types with FormatInfo::decode_block: block `block` of each row of a tile, whose
// rows have n_blocks.
void decode_tile_block(int type, const uint8_t* tile, int64_t block, int64_t n_blocks,
                       DecodedBlock (&rows)[kTileRows]);

}  // namespace pyllm

#endif  // PYLLM_CSRC_KERNELS_TABLE_H_
