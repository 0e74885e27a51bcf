// Paged keys and values of all layers, in the order the attention kernel reads them.
#ifndef PYLLM_CSRC_RUNTIME_KV_POOL_H_
#define PYLLM_CSRC_RUNTIME_KV_POOL_H_

#include <cstdint>
#include <string>

#include "kernels/table.h"
#include "runtime/memory.h"

namespace pyllm {

constexpr const char* kKvTypeNames[] = {"f16", "bf16", "q8_0", "q4_0"};  // by KvType

// A block holds `block_size` tokens of one sequence. For each layer, block and KV head, contiguous:
// block_size/16 panels of keys, then as many of values, as kernels/kv_panel.h lays them out.
class KVPool {
 public:
  // Throws std::invalid_argument for sizes that are not positive, a block size that is not a
  // multiple of 16, or more than 2^46 bytes; std::bad_alloc when the address space is refused.
  KVPool(int64_t n_layers, int64_t n_kv_heads, int64_t k_dim, int64_t v_dim, int64_t block_size,
         int64_t n_blocks, KvType k_type = kKvF16, KvType v_type = kKvF16);

  const int64_t n_layers, n_kv_heads, k_dim, v_dim, block_size, n_blocks;
  const KvType k_type, v_type;
  const int64_t v_stride;                // v_dim rounded up to 16
  const int64_t key_panel, value_panel;  // 16-bit units

  // Keys and values of panel (16 tokens) `panel` of a block.
  uint16_t* keys(int64_t layer, int64_t block, int64_t head, int64_t panel) const {
    return head_start(layer, block, head) + panel * key_panel;
  }
  uint16_t* values(int64_t layer, int64_t block, int64_t head, int64_t panel) const {
    return head_start(layer, block, head) + panels() * key_panel + panel * value_panel;
  }

  int64_t nbytes() const { return static_cast<int64_t>(memory_.size()); }
  int64_t block_bytes() const { return nbytes() / n_blocks; }

  // Copies the `block_bytes()` of a block, layer after layer.
  void copy_out(int64_t block, uint8_t* to) const;
  void copy_in(int64_t block, const uint8_t* from);

  // Names all that the bytes of a block mean; they can move to any pool of the same layout.
  std::string layout() const;

  // Bytes of one token of one KV head, keys and values together.
  double token_bytes() const {
    return 2.0 * static_cast<double>(key_panel + value_panel) / kPanelTokens;
  }

  // One element as a float, decoded without the kernels; for tests.
  float key(int64_t layer, int64_t block, int64_t head, int64_t token, int64_t d) const;
  float value(int64_t layer, int64_t block, int64_t head, int64_t token, int64_t d) const;

 private:
  int64_t panels() const { return block_size / kPanelTokens; }
  uint16_t* head_start(int64_t layer, int64_t block, int64_t head) const {
    return memory_.as<uint16_t>() +
           ((layer * n_blocks + block) * n_kv_heads + head) * panels() * (key_panel + value_panel);
  }

  Buffer memory_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_RUNTIME_KV_POOL_H_
