// How the attention of one step is cut into work items. The cut never changes a result, only who
// computes it.
#ifndef PYLLM_CSRC_ATTENTION_PLAN_H_
#define PYLLM_CSRC_ATTENTION_PLAN_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "columns.h"

namespace pyllm {

// Query rows [row_begin, row_end) of a sequence against chunks [chunk_begin, chunk_end) of its
// tokens. Row r of a sequence is its new token r / group, head r % group of the KV head at hand.
struct AttentionItem {
  int32_t seq;
  int32_t row_begin, row_end;
  int32_t chunk_begin, chunk_end;
  int32_t split;  // index into splits(), -1 when the item covers all chunks of its rows
};

// Rows whose chunks are spread over several items; whoever finishes the last item of a KV head
// merges its partial results.
struct AttentionSplit {
  int32_t seq;
  int32_t row_begin, row_end;
  int32_t chunk_begin, n_chunks, n_items;
  int64_t first_partial;  // of KV head 0; partial = first + ((head * rows) + row) * n_chunks +
                          // chunk - chunk_begin
};

// The items of all layers with the same number of heads and the same window.
class AttentionPlan {
 public:
  // window: tokens that a row sees, itself included; 0: all before it.
  AttentionPlan(int64_t n_heads, int64_t n_kv_heads, int64_t window, int64_t max_context,
                const Limits& limits, int n_workers);

  int64_t n_heads, n_kv_heads, group, window;
  // The first token that the token at `position` sees.
  int64_t first_token(int64_t position) const { return first_seen(position, window); }
  int64_t n_partials() const { return n_partials_; }  // capacity, one for each split row and chunk

  // Room for plans of up to `n_workers`.
  void reserve_for(int n_workers);

  // Allocates nothing.
  void build(const Columns& columns, const StepShape& shape, int n_workers);
  const std::vector<AttentionItem>& items() const { return items_; }  // the longest first
  const std::vector<AttentionSplit>& splits() const { return splits_; }

  // True when each sequence's new rows are one tile: then the item that attends to a chunk is the
  // only one that reads the chunk's new tokens, and can store them itself.
  bool items_store() const { return items_store_; }

  // Called after each item of a split; true for the last one, which sees what the others wrote.
  bool finish_item(int64_t split, int64_t kv_head) const;

 private:
  // `whole` covers the rows and all chunks they see.
  void add_tile(const AttentionItem& whole, int64_t target_cost);

  int64_t max_tiles_;
  int64_t n_partials_;
  int64_t used_partials_ = 0;
  bool items_store_ = false;
  std::vector<AttentionItem> items_;
  std::vector<AttentionSplit> splits_;
  mutable std::vector<std::atomic<int32_t>> n_finished_;  // [split][KV head], 0 between ops
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_ATTENTION_PLAN_H_
