#include "runtime/kv_pool.h"

#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace pyllm {
namespace {

constexpr int64_t kMaxBytes = int64_t{1} << 46;  // half of the 47-bit user address space
constexpr int64_t kMaxSize = int64_t{1} << 31;   // of any single dimension
constexpr int64_t kLayoutVersion = 1;            // counts changes of the order within a block

int64_t positive(const char* name, int64_t value) {
  if (value < 1 || value > kMaxSize) {
    throw std::invalid_argument(std::string("KVPool: ") + name + " is " + std::to_string(value) +
                                ", allowed 1 to 2^31");
  }
  return value;
}

size_t total_bytes(std::initializer_list<int64_t> factors) {
  int64_t bytes = 1;
  for (const int64_t factor : factors) {
    if (bytes > kMaxBytes / factor) throw std::invalid_argument("KVPool: more than 2^46 bytes");
    bytes *= factor;
  }
  return static_cast<size_t>(bytes);
}

}  // namespace

KVPool::KVPool(int64_t n_layers_, int64_t n_kv_heads_, int64_t k_dim_, int64_t v_dim_,
               int64_t block_size_, int64_t n_blocks_)
    : n_layers(positive("n_layers", n_layers_)),
      n_kv_heads(positive("n_kv_heads", n_kv_heads_)),
      k_dim(positive("k_dim", k_dim_)),
      v_dim(positive("v_dim", v_dim_)),
      block_size(positive("block_size", block_size_)),
      n_blocks(positive("n_blocks", n_blocks_)),
      v_stride((v_dim_ + kPanelTokens - 1) / kPanelTokens * kPanelTokens) {
  if (block_size % kPanelTokens != 0) {
    throw std::invalid_argument("KVPool: block_size is " + std::to_string(block_size) +
                                ", must be a multiple of 16");
  }
  const auto bytes_per_value = static_cast<int64_t>(sizeof(uint16_t));
  memory_ = Buffer(
      total_bytes({n_layers, n_blocks, n_kv_heads, block_size, k_dim + v_stride, bytes_per_value}));
}

void KVPool::copy_out(int64_t block, uint8_t* to) const {
  const int64_t bytes = block_bytes() / n_layers;
  for (int64_t layer = 0; layer < n_layers; ++layer, to += bytes) {
    std::memcpy(to, memory_.data() + (layer * n_blocks + block) * bytes,
                static_cast<size_t>(bytes));
  }
}

void KVPool::copy_in(int64_t block, const uint8_t* from) {
  const int64_t bytes = block_bytes() / n_layers;
  for (int64_t layer = 0; layer < n_layers; ++layer, from += bytes) {
    std::memcpy(memory_.data() + (layer * n_blocks + block) * bytes, from,
                static_cast<size_t>(bytes));
  }
}

std::string KVPool::layout() const {
  std::string text = "kv f16";
  for (const int64_t size : {kLayoutVersion, n_layers, n_kv_heads, k_dim, v_dim, block_size}) {
    text.append(" ").append(std::to_string(size));
  }
  return text;
}

}  // namespace pyllm
