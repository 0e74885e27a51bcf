// Compiles every kernel for one instruction set and exports its function table, nothing else.
// Included once by each csrc/isa/<name>.cpp, which names the set, its vocabulary and its register
// tile (and PYLLM_ISA_UNROLL where loops over that tile are to be unrolled, PYLLM_ISA_TILES where
// the machine has tile registers, PYLLM_ISA_STREAM_INTO where streams go elsewhere than into L1,
// PYLLM_ISA_STREAM_TILES where one token reads other than four tiles side by side).

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "formats/half.h"
#include "kernels/r16.h"
#include "kernels/table.h"

#define PYLLM_CONCAT_(a, b) a##b
#define PYLLM_CONCAT(a, b) PYLLM_CONCAT_(a, b)
#define PYLLM_ISA_NAMESPACE PYLLM_CONCAT(isa_, PYLLM_ISA_NAME)
#define PYLLM_STRING_(a) #a
#define PYLLM_STRING(a) PYLLM_STRING_(a)

namespace pyllm {
namespace PYLLM_ISA_NAMESPACE {
namespace {

#include PYLLM_ISA_SIMD
#ifdef PYLLM_ISA_TILES
#include "simd/amx.h"
#endif

constexpr int64_t kTileGroup = PYLLM_ISA_TILE_GROUP;
constexpr int64_t kTokenGroup = PYLLM_ISA_TOKEN_GROUP;

#include "kernels/matmul.h"
#include "kernels/pack.h"
#include "kernels/quantize_act.h"
// Program kernels; exp.h and the tiles first, the others call them.
// clang-format off
#include "kernels/exp.h"
#include "kernels/activation.h"
#include "kernels/attention_tiles.h"
#include "kernels/kv_load.h"
#include "kernels/attention.h"
// clang-format on
#include "kernels/kv_store.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/sigmoid_gate.h"
#include "kernels/vocabulary.h"
#include "kernels/weighted_sum.h"

constexpr KernelTable kTable = {
    .name = PYLLM_STRING(PYLLM_ISA_NAME),
#ifdef PYLLM_ISA_TILES
    .token_step = kTileTokens,
#else
    .token_step = kTokenGroup,
#endif
    .matmul = matmul,
    .quantize_act = quantize_act,
    .pack_tile = pack_tile,
    .rms_norm = rms_norm,
    .rope = rope,
    .silu_mul = silu_mul,
    .sigmoid_gate = sigmoid_gate,
    .weighted_sum = weighted_sum,
    .store_key = store_key,
    .store_value = store_value,
    .attention_chunk = attention_chunk,
    .attention_merge = attention_merge,
    .attention_finish = attention_finish,
    .row_max = row_max,
    .exp_sum = exp_sum,
    .tile_max = tile_max,
};

}  // namespace
}  // namespace PYLLM_ISA_NAMESPACE

extern "C" const KernelTable* PYLLM_CONCAT(pyllm_table_, PYLLM_ISA_NAME)() {
  return &PYLLM_ISA_NAMESPACE::kTable;
}

}  // namespace pyllm
