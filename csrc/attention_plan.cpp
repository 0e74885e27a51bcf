#include "attention_plan.h"

#include <algorithm>

#include "kernels/table.h"

namespace pyllm {
namespace {

constexpr int64_t kItemsPerWorker = 8;  // enough for an even finish
constexpr int64_t kSplitSequences = 4;  // long sequences whose chunks may be split in one step
constexpr int64_t kMaxPartials = int64_t{1} << 20;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

AttentionPlan::AttentionPlan(int64_t n_heads_, int64_t n_kv_heads_, int64_t window_,
                             int64_t max_context, const Limits& limits, int n_workers)
    : n_heads(n_heads_),
      n_kv_heads(n_kv_heads_),
      group(n_heads_ / n_kv_heads_),
      window(window_),
      max_tiles_(ceil_div(limits.max_tokens * group, kAttentionRows) + limits.max_seqs),
      n_partials_(std::min(kMaxPartials,
                           kSplitSequences * n_heads * ceil_div(max_context, kAttentionChunk))) {
  reserve_for(n_workers);
}

// A tile is split only into items above the target cost, of which there are 8 per worker.
void AttentionPlan::reserve_for(int n_workers) {
  const int64_t max_split_items = 2 * kItemsPerWorker * n_workers;
  const auto max_splits = static_cast<size_t>(std::min(max_tiles_, max_split_items / 2));
  items_.reserve(static_cast<size_t>(max_tiles_ + max_split_items));
  splits_.reserve(max_splits);
  n_finished_ = std::vector<std::atomic<int32_t>>(max_splits * static_cast<size_t>(n_kv_heads));
}

// Cost is rows x chunks; the rows of a tile are counted as at least 4, as fewer save no memory
// traffic.
static int64_t tile_cost(int64_t rows, int64_t n_chunks) {
  return std::max<int64_t>(rows, 4) * n_chunks;
}

static int64_t item_cost(const AttentionItem& item) {
  return tile_cost(item.row_end - item.row_begin, item.chunk_end - item.chunk_begin);
}

void AttentionPlan::build(const Columns& c, const StepShape& shape, int n_workers) {
  items_.clear();
  splits_.clear();
  used_partials_ = 0;
  items_store_ = true;
  // Visits the row tiles from the last sequence's last, which see the most tokens, to the first.
  const auto for_each_tile = [&](auto visit) {
    for (auto seq = static_cast<int32_t>(shape.n_seqs) - 1; seq >= 0; --seq) {
      const int32_t start = c.seq_starts[static_cast<size_t>(seq)];
      const int64_t rows = (c.seq_starts[static_cast<size_t>(seq) + 1] - start) * group;
      items_store_ = items_store_ && rows <= kAttentionRows;
      for (int64_t begin = (rows - 1) / kAttentionRows * kAttentionRows; begin >= 0;
           begin -= kAttentionRows) {
        const int64_t end = std::min(begin + kAttentionRows, rows);
        const int64_t first = c.positions[static_cast<size_t>(start + begin / group)];
        const int64_t last = c.positions[static_cast<size_t>(start + (end - 1) / group)];
        visit(AttentionItem{seq, static_cast<int32_t>(begin), static_cast<int32_t>(end),
                            static_cast<int32_t>(first_token(first) / kAttentionChunk),
                            static_cast<int32_t>(last / kAttentionChunk + 1), -1});
      }
    }
  };
  int64_t total = 0;
  for_each_tile([&](const AttentionItem& tile) { total += item_cost(tile) * n_kv_heads; });
  const int64_t target = n_workers == 1 ? total : total / (kItemsPerWorker * n_workers);
  for_each_tile([&](const AttentionItem& tile) { add_tile(tile, target); });
  std::sort(items_.begin(), items_.end(), [](const AttentionItem& a, const AttentionItem& b) {
    return item_cost(a) > item_cost(b);
  });
}

void AttentionPlan::add_tile(const AttentionItem& whole, int64_t target_cost) {
  const int64_t rows = whole.row_end - whole.row_begin;
  const int32_t n_chunks = whole.chunk_end - whole.chunk_begin;
  const int64_t cost = item_cost(whole);
  const int64_t partials = rows * n_kv_heads * n_chunks;
  const bool split = cost > target_cost && n_chunks > 1 && used_partials_ + partials <= n_partials_;
  if (!split) {
    items_.push_back(whole);
    return;
  }
  const int64_t n_items =
      std::min<int64_t>(n_chunks, ceil_div(cost, std::max<int64_t>(1, target_cost)));
  for (int64_t i = 0; i < n_items; ++i) {
    AttentionItem item = whole;
    item.chunk_begin += static_cast<int32_t>(n_chunks * i / n_items);
    item.chunk_end = whole.chunk_begin + static_cast<int32_t>(n_chunks * (i + 1) / n_items);
    item.split = static_cast<int32_t>(splits_.size());
    items_.push_back(item);
  }
  splits_.push_back({whole.seq, whole.row_begin, whole.row_end, whole.chunk_begin, n_chunks,
                     static_cast<int32_t>(n_items), used_partials_});
  used_partials_ += partials;
}

bool AttentionPlan::finish_item(int64_t split, int64_t kv_head) const {
  std::atomic<int32_t>& n_finished = n_finished_[static_cast<size_t>(split * n_kv_heads + kv_head)];
  const int32_t last = splits_[static_cast<size_t>(split)].n_items - 1;
  if (n_finished.fetch_add(1, std::memory_order_acq_rel) != last) return false;
  n_finished.store(0, std::memory_order_relaxed);
  return true;
}

}  // namespace pyllm
