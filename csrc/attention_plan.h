// How the attention of one step is cut into work items. The cut never changes a result, only who
// computes it.
#ifndef PYLLM_CSRC_ATTENTION_PLAN_H_
#define PYLLM_CSRC_ATTENTION_PLAN_H_

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

// Rows whose chunks are spread over several items; the partial results are merged afterwards.
struct AttentionSplit {
  int32_t seq;
  int32_t row_begin, row_end;
  int32_t n_chunks;
  int64_t
      first_partial;  // of KV head 0; partial = first + ((head * rows) + row) * n_chunks + chunk
};

// The items of all layers with the same number of heads.
class AttentionPlan {
 public:
  AttentionPlan(int64_t n_heads, int64_t n_kv_heads, int64_t max_context, const Limits& limits,
                int n_workers);

  int64_t n_heads, n_kv_heads, group;
  int64_t n_partials() const { return n_partials_; }  // capacity, one for each split row and chunk

  void set_workers(int n_workers);

  // Allocates nothing.
  void build(const Columns& columns, const StepShape& shape);
  const std::vector<AttentionItem>& items() const { return items_; }
  const std::vector<AttentionSplit>& splits() const { return splits_; }

 private:
  void add_tile(int32_t seq, int32_t row_begin, int32_t row_end, int32_t n_chunks,
                int64_t target_cost);

  int n_workers_ = 0;
  int64_t max_tiles_;
  int64_t n_partials_;
  int64_t used_partials_ = 0;
  std::vector<AttentionItem> items_;
  std::vector<AttentionSplit> splits_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_ATTENTION_PLAN_H_
