// Paged f16 keys and values of all layers, in the order the attention kernel reads them.
#ifndef PYLLM_CSRC_RUNTIME_KV_POOL_H_
#define PYLLM_CSRC_RUNTIME_KV_POOL_H_

#include <cstdint>
#include <string>

#include "kernels/table.h"
#include "runtime/memory.h"

namespace pyllm {

// A block holds `block_size` tokens of one sequence. For each layer, block and KV head, contiguous:
//   keys    block_size/16 panels of [k_dim][16 tokens]: a panel row is one vector of tokens
//   values  [block_size][v_stride], v_stride = v_dim rounded up to 16, the padding is 0
class KVPool {
 public:
  // Throws std::invalid_argument for sizes that are not positive, a block size that is not a
  // multiple of 16, or more than 2^46 bytes; std::bad_alloc when the address space is refused.
  KVPool(int64_t n_layers, int64_t n_kv_heads, int64_t k_dim, int64_t v_dim, int64_t block_size,
         int64_t n_blocks);

  const int64_t n_layers, n_kv_heads, k_dim, v_dim, block_size, n_blocks;
  const int64_t v_stride;

  // Panel (16 tokens) `panel` of a block: keys [k_dim][16] and values [16][v_stride].
  uint16_t* keys(int64_t layer, int64_t block, int64_t head, int64_t panel) const {
    return head_start(layer, block, head) + panel * kPanelTokens * k_dim;
  }
  uint16_t* values(int64_t layer, int64_t block, int64_t head, int64_t panel) const {
    return head_start(layer, block, head) + block_size * k_dim + panel * kPanelTokens * v_stride;
  }

  int64_t nbytes() const { return static_cast<int64_t>(memory_.size()); }
  int64_t block_bytes() const { return nbytes() / n_blocks; }

  // Copies the `block_bytes()` of a block, layer after layer.
  void copy_out(int64_t block, uint8_t* to) const;
  void copy_in(int64_t block, const uint8_t* from);

  // Names all that the bytes of a block mean; they can move to any pool of the same layout.
  std::string layout() const;

 private:
  uint16_t* head_start(int64_t layer, int64_t block, int64_t head) const {
    return memory_.as<uint16_t>() +
           ((layer * n_blocks + block) * n_kv_heads + head) * block_size * (k_dim + v_stride);
  }

  Buffer memory_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_RUNTIME_KV_POOL_H_
