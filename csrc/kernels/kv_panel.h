// How keys and values lie in the cache: panels of 16 tokens of one KV head, in one of four number
// types.
//
// A panel is counted in 16-bit units. It starts with the scales, if its type has any:
//   f16, bf16   keys [k_dim][16 tokens]; values [16 tokens][v_dim rounded up to 16, padded with 0]
//   q8_0        scales f16 [groups][16 tokens], one for 32 elements of a token; then as above, a
//               byte each
//   q4_0        scales as q8_0; keys [pairs of dimensions][16 tokens], even dimensions in the low
//               nibbles; values [16 tokens][groups][16 bytes], the first 16 in the low nibbles
// A code c means scale * (c - 128) or scale * (c - 8): exact in a float, so that every instruction
// set decodes the same bits however it gets there.
// Scales for groups of 32 rather than for a token's whole head: at 128 dimensions that is 1.2 times
// less error on normal values, 1.8 times with two dimensions ten times larger than the rest, as
// rotated keys have them; 16 bits suffice, as f16 would overflow where they do.
#ifndef PYLLM_CSRC_KERNELS_KV_PANEL_H_
#define PYLLM_CSRC_KERNELS_KV_PANEL_H_

#include <stdint.h>

namespace pyllm {

enum KvType : int { kKvF16 = 0, kKvBf16 = 1, kKvQ8_0 = 2, kKvQ4_0 = 3 };

constexpr int64_t kPanelTokens = 16;  // one SIMD vector of tokens
constexpr int64_t kKvGroup = 32;      // elements of a token that share a scale

// Scales of a panel whose tokens have n elements, in 16-bit units.
static constexpr int64_t kv_panel_scales(KvType type, int64_t n) {
  const bool scaled = type == kKvQ8_0 || type == kKvQ4_0;
  return scaled ? (n + kKvGroup - 1) / kKvGroup * kPanelTokens : 0;
}

// Codes of a panel of keys, and of one token of a panel of values, in 16-bit units.
static constexpr int64_t kv_key_units(KvType type, int64_t k_dim) {
  if (type == kKvQ4_0) return (k_dim + 1) / 2 * kPanelTokens / 2;
  return type == kKvQ8_0 ? k_dim * kPanelTokens / 2 : k_dim * kPanelTokens;
}
static constexpr int64_t kv_value_units(KvType type, int64_t v_dim) {
  const int64_t padded = (v_dim + 15) / 16 * 16;
  if (type == kKvQ4_0) return (v_dim + kKvGroup - 1) / kKvGroup * kKvGroup / 4;
  return type == kKvQ8_0 ? padded / 2 : padded;
}

// 16-bit units of a whole panel.
static constexpr int64_t kv_key_panel(KvType type, int64_t k_dim) {
  return kv_panel_scales(type, k_dim) + kv_key_units(type, k_dim);
}
static constexpr int64_t kv_value_panel(KvType type, int64_t v_dim) {
  return kv_panel_scales(type, v_dim) + kPanelTokens * kv_value_units(type, v_dim);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_KERNELS_KV_PANEL_H_
