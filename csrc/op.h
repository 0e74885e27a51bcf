// What a program is made of: values in the arena, weights, and ops that all workers run together.
#ifndef PYLLM_CSRC_OP_H_
#define PYLLM_CSRC_OP_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "attention_plan.h"
#include "columns.h"
#include "packed_weight.h"
#include "rope_table.h"
#include "runtime/kv_pool.h"
#include "runtime/thread_pool.h"

namespace pyllm {

// T values have one row per token of the step, R values one per row whose logits or hidden state
// are wanted.
enum class RowClass { kTokens, kRows };

// Rows of `width` floats, contiguous from `offset` (floats) in the arena.
struct Value {
  int64_t offset, width;
  RowClass rows;
  bool operator==(const Value&) const = default;
};

using Weight =
    std::variant<std::monostate, std::shared_ptr<const PackedWeight>, std::vector<float>>;
using Attr = std::variant<int64_t, double, std::string>;

// An op as the compiler in Python describes it.
struct OpSpec {
  std::string name;
  std::vector<Value> inputs, outputs;
  std::vector<Weight> weights;
  std::map<std::string, Attr> attrs;
};

// Everything one step works on; shared by all workers.
struct StepContext {
  StepShape shape;
  const Columns& columns;
  const Limits& limits;
  const int32_t* token_seqs;  // [n_tokens] sequence of each token
  ThreadPool& pool;
  float* arena;
  uint8_t* activations;     // quantised input rows of the linear op that runs
  uint8_t* worker_scratch;  // worker_bytes for each worker
  int64_t worker_bytes;
  bool keep_new_tiles;  // of weights that were not used before
  float* partials;      // attention results of single chunks, before they are merged
  const std::vector<RopeTable>& rope_tables;
  const std::vector<AttentionPlan>& attention_plans;
  Value logits;
  float* logit_maxima;  // null unless the op that writes the logits leaves them

  int64_t n_rows(RowClass rows) const {
    return rows == RowClass::kTokens ? shape.n_tokens : shape.n_rows;
  }
  // The same step for an op that serves only the first R rows.
  StepContext with_rows(int64_t n) const {
    StepContext fewer = *this;
    fewer.shape.n_rows = n;
    return fewer;
  }
  float* row(const Value& value, int64_t index) const {
    return arena + value.offset + index * value.width;
  }
  int64_t seq_of(int64_t token) const { return token_seqs[token]; }
  // KV block that holds tokens index * block_size … of a sequence.
  int64_t block(int64_t seq, int64_t index) const {
    return columns.block_tables[static_cast<size_t>(seq * limits.max_blocks + index)];
  }
  // Where an op leaves the maxima of 16 elements each when row `index` of `value` are logits, else
  // null.
  float* tile_maxima(const Value& value, int64_t index) const {
    if (logit_maxima == nullptr || !(value == logits)) return nullptr;
    return logit_maxima + index * ((value.width + kTileRows - 1) / kTileRows);
  }
  uint8_t* scratch(int worker) const { return worker_scratch + worker * worker_bytes; }
};

// What an op of one step reads and computes, for profiles.
struct OpCost {
  int64_t bytes = 0;  // weights and cached keys and values
  int64_t macs = 0;
};

class Op {
 public:
  virtual ~Op() = default;
  // Called by every worker; the program puts a barrier after it, ops with phases put their own
  // between.
  virtual void run(const StepContext& step, int worker) const = 0;
  virtual OpCost cost(const StepContext& step) const = 0;
};

// Hands out [begin, end) ranges of about `chunk` indices below n until none are left.
template <typename Body>
void for_chunks(ThreadPool& pool, int64_t n, int64_t chunk, Body body) {
  for (int64_t begin = pool.next_chunk() * chunk; begin < n; begin = pool.next_chunk() * chunk) {
    body(begin, std::min(begin + chunk, n));
  }
}

// Hands out the indices below n one by one: each worker takes those of its own share in ascending
// order, so that it reads one stream of memory, and then helps the others with theirs.
template <typename Body>
void for_shares(ThreadPool& pool, int worker, int64_t n, Body body) {
  const int n_workers = pool.active();
  for (int i = 0; i < n_workers; ++i) {
    const int owner = (worker + i) % n_workers;
    const int64_t begin = n * owner / n_workers, end = n * (owner + 1) / n_workers;
    for (int64_t at = begin + pool.next_of(owner); at < end; at = begin + pool.next_of(owner))
      body(at);
  }
}

// A chunk size that gives each worker about four of them.
inline int64_t even_chunk(const ThreadPool& pool, int64_t n) {
  return std::max<int64_t>(1, n / (4 * pool.active()));
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OP_H_
