#include "runtime/kv_pool.h"

#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>

#include "formats/half.h"

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

// An element whose panel has `codes` behind its scales: number `index` of the 16-bit elements or
// bytes, or the nibble that `high` says of byte `index`.
float decode(KvType type, const uint16_t* codes, int64_t index, bool high, uint16_t scale) {
  if (type == kKvF16) return half_to_float(codes[index]);
  if (type == kKvBf16) return bf16_to_float(codes[index]);
  const int byte = reinterpret_cast<const uint8_t*>(codes)[index];
  const int code = type == kKvQ8_0 ? byte - 128 : (high ? byte >> 4 : byte & 15) - 8;
  return half_to_float(scale) * static_cast<float>(code);
}

}  // namespace

KVPool::KVPool(int64_t n_layers_, int64_t n_kv_heads_, int64_t k_dim_, int64_t v_dim_,
               int64_t block_size_, int64_t n_blocks_, KvType k_type_, KvType v_type_)
    : n_layers(positive("n_layers", n_layers_)),
      n_kv_heads(positive("n_kv_heads", n_kv_heads_)),
      k_dim(positive("k_dim", k_dim_)),
      v_dim(positive("v_dim", v_dim_)),
      block_size(positive("block_size", block_size_)),
      n_blocks(positive("n_blocks", n_blocks_)),
      k_type(k_type_),
      v_type(v_type_),
      v_stride((v_dim_ + kPanelTokens - 1) / kPanelTokens * kPanelTokens),
      key_panel(kv_key_panel(k_type, k_dim)),
      value_panel(kv_value_panel(v_type, v_dim)) {
  if (block_size % kPanelTokens != 0) {
    throw std::invalid_argument("KVPool: block_size is " + std::to_string(block_size) +
                                ", must be a multiple of 16");
  }
  const auto unit = static_cast<int64_t>(sizeof(uint16_t));
  memory_ = Buffer(
      total_bytes({n_layers, n_blocks, n_kv_heads, panels(), key_panel + value_panel, unit}));
}

float KVPool::key(int64_t layer, int64_t block, int64_t head, int64_t token, int64_t d) const {
  const uint16_t* panel = keys(layer, block, head, token / kPanelTokens);
  const int64_t lane = token % kPanelTokens, row = k_type == kKvQ4_0 ? d / 2 : d;
  return decode(k_type, panel + kv_panel_scales(k_type, k_dim), row * kPanelTokens + lane,
                d % 2 == 1, panel[d / kKvGroup * kPanelTokens + lane]);
}

float KVPool::value(int64_t layer, int64_t block, int64_t head, int64_t token, int64_t d) const {
  const uint16_t* panel = values(layer, block, head, token / kPanelTokens);
  const int64_t lane = token % kPanelTokens;
  const int64_t index = v_type == kKvQ4_0 ? d / kKvGroup * 16 + d % 16 : d;
  const uint16_t* codes =
      panel + kv_panel_scales(v_type, v_dim) + lane * kv_value_units(v_type, v_dim);
  return decode(v_type, codes, index, d % kKvGroup >= 16,
                panel[d / kKvGroup * kPanelTokens + lane]);
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
  std::string text = std::string("kv ") + kKvTypeNames[k_type] + " " + kKvTypeNames[v_type];
  for (const int64_t size : {kLayoutVersion, n_layers, n_kv_heads, k_dim, v_dim, block_size}) {
    text.append(" ").append(std::to_string(size));
  }
  return text;
}

}  // namespace pyllm
