// attention: stores keys and values in the cache, then attends causally over it.
#ifndef PYLLM_CSRC_OPS_ATTENTION_H_
#define PYLLM_CSRC_OPS_ATTENTION_H_

#include <cstring>

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

class Attention : public Op {
 public:
  Attention(OpReader& reader, BuildContext& context) {
    reader.expect_inputs(3, 3);
    reader.expect_outputs(1, 1);
    reader.expect_weights(3, 3);
    reader.expect(context.kv != nullptr, "needs a KVPool");
    kv_ = context.kv;
    read_shapes(reader);
    q_norm_ = reader.optional_vector(0, head_dim_);
    k_norm_ = reader.optional_vector(1, head_dim_);
    constexpr double kLog2E = 1.4426950408889634;
    scale_ = static_cast<float>(reader.number("scale", -1e6, 1e6) * kLog2E);
    eps_ = static_cast<float>(reader.number("eps", 0.0, 1.0));
    read_rope(reader, context);
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(OpReader::kNoInput);
    plan_ = context.attention_plan(n_heads_, n_kv_heads_, window_);
    context.worker_bytes =
        std::max(context.worker_bytes, scratch_floats() * int64_t{sizeof(float)});
    context.partial_floats = std::max(
        context.partial_floats, context.attention_plans[plan_].n_partials() * partial_stride());
  }

  void run(const StepContext& step, int worker) const override {
    const AttentionPlan& plan = step.attention_plans[plan_];
    if (!plan.items_store()) {
      const int64_t n_stored = step.shape.n_tokens * n_kv_heads_;
      for_chunks(step.pool, n_stored, even_chunk(step.pool, n_stored),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i)
                     store_head(step, worker, i / n_kv_heads_, i % n_kv_heads_);
                 });
      step.pool.barrier();
    }
    const auto n_items = static_cast<int64_t>(plan.items().size());
    const int64_t n_heads = n_items * n_kv_heads_;
    const auto head_at = [&](int64_t i) {
      return ItemHead{plan.items()[static_cast<size_t>(i / n_kv_heads_)], i % n_kv_heads_};
    };
    for_chunks(step.pool, n_heads, 1, [&](int64_t i, int64_t) {
      const auto [item, kv_head] = head_at(i);
      if (plan.items_store()) store_item(step, worker, item, kv_head);
      const int64_t after = i + step.pool.active();
      const ItemHead next = head_at(std::min(after, n_heads - 1));
      attend(step, worker, {item, kv_head}, after < n_heads ? &next : nullptr);
      if (item.split >= 0 && plan.finish_item(item.split, kv_head)) {
        merge(step, plan.splits()[static_cast<size_t>(item.split)], kv_head);
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    OpCost cost;
    const Columns& c = step.columns;
    const AttentionPlan& plan = step.attention_plans[plan_];
    for (int64_t seq = 0; seq < step.shape.n_seqs; ++seq) {
      const int64_t begin = c.seq_starts[static_cast<size_t>(seq)];
      const int64_t end = c.seq_starts[static_cast<size_t>(seq) + 1];
      const int64_t first_token = plan.first_token(c.positions[static_cast<size_t>(begin)]);
      const int64_t context = c.positions[static_cast<size_t>(end) - 1] + 1 - first_token;
      cost.bytes +=
          static_cast<int64_t>(static_cast<double>(context * n_kv_heads_) * kv_->token_bytes());
      for (int64_t t = begin; t < end; ++t) {
        const int64_t position = c.positions[static_cast<size_t>(t)];
        const int64_t seen = position + 1 - plan.first_token(position);
        cost.macs += seen * n_heads_ * (head_dim_ + v_dim_);
      }
    }
    return cost;
  }

 private:
  // What a worker attends to at a time: one KV head of an item.
  struct ItemHead {
    const AttentionItem& item;
    int64_t kv_head;
  };

  // A worker's scratch, in floats.
  struct Scratch {
    float *q, *scores, *tile, *out, *next_out, *max, *sum, *next_max, *next_sum, *head;
    int32_t *n_hidden, *n_visible;
  };

  void read_shapes(OpReader& reader) {
    q_ = reader.input(0);
    k_ = reader.input(1);
    v_ = reader.input(2);
    out_ = reader.output(0);
    layer_ = reader.integer("layer", 0, kv_->n_layers - 1);
    n_heads_ = reader.integer("n_heads", 1, q_.width);
    n_kv_heads_ = reader.integer("n_kv_heads", 1, n_heads_);
    head_dim_ = reader.integer("head_dim", 1, q_.width);
    v_dim_ = reader.integer("v_dim", 1, v_.width);
    window_ = reader.integer("window", 0, int64_t{1} << 31);
    group_ = n_heads_ / n_kv_heads_;
    reader.expect(n_heads_ % n_kv_heads_ == 0, "n_kv_heads must divide n_heads");
    reader.expect(kv_->n_kv_heads == n_kv_heads_ && kv_->k_dim == head_dim_ && kv_->v_dim == v_dim_,
                  "the KVPool has other heads or dimensions");
    const bool shapes = q_.width == n_heads_ * head_dim_ && k_.width == n_kv_heads_ * head_dim_ &&
                        v_.width == n_kv_heads_ * v_dim_ && out_.width == n_heads_ * v_dim_;
    reader.expect(shapes, "q, k, v or output width does not fit the heads");
    for (const Value& value : {q_, k_, v_, out_}) {
      reader.expect(value.rows == RowClass::kTokens, "all values must be of class T");
    }
  }

  void read_rope(OpReader& reader, BuildContext& context) {
    const int64_t rope_dim = reader.integer("rope_dim", 0, head_dim_);
    reader.expect(rope_dim % 2 == 0, "rope_dim must be even");
    neox_ = reader.choice("mode", {"interleaved", "neox"}) == 1;
    const double mscale = reader.number_or("mscale", 0.0, 1e3, 1.0);
    has_rope_ = reader.has_weight(2);
    reader.expect(has_rope_ == (rope_dim > 0), "rope_dim and frequencies go together");
    if (has_rope_) rope_table_ = context.rope_table(reader.vector(2, rope_dim / 2), mscale);
  }

  int64_t scratch_floats() const {
    const int64_t tile = std::max<int64_t>(64 * round16(head_dim_), 4096);
    return kAttentionRows * (head_dim_ + kAttentionChunk + 2 * kv_->v_stride + 9) + tile +
           round16(head_dim_) + 16 * 16;
  }
  static int64_t round16(int64_t n) { return (n + 15) / 16 * 16; }

  Scratch scratch(const StepContext& step, int worker) const {
    auto* next = reinterpret_cast<float*>(step.scratch(worker));
    const auto take = [&](int64_t n) {
      float* taken = next;
      next += round16(n);
      return taken;
    };
    Scratch s;
    s.q = take(kAttentionRows * head_dim_);
    s.scores = take(kAttentionRows * kAttentionChunk);
    s.tile = take(std::max<int64_t>(64 * head_dim_, 4096));
    s.out = take(kAttentionRows * kv_->v_stride);
    s.next_out = take(kAttentionRows * kv_->v_stride);
    s.max = take(kAttentionRows);
    s.sum = take(kAttentionRows);
    s.next_max = take(kAttentionRows);
    s.next_sum = take(kAttentionRows);
    s.head = take(head_dim_);
    s.n_hidden = reinterpret_cast<int32_t*>(take(kAttentionRows));
    s.n_visible = reinterpret_cast<int32_t*>(take(kAttentionRows));
    return s;
  }

  // A partial result of a split: max, sum, padding to a line, out.
  int64_t partial_stride() const { return 16 + kv_->v_stride; }
  float* partial(const StepContext& step, const AttentionSplit& split, int64_t kv_head, int64_t row,
                 int64_t chunk) const {
    const int64_t n_rows = split.row_end - split.row_begin;
    const int64_t index =
        split.first_partial + (kv_head * n_rows + row) * split.n_chunks + chunk - split.chunk_begin;
    return step.partials + index * partial_stride();
  }

  // norm (optional), then rotation (optional), into y.
  void prepare_head(const StepContext& step, const float* x, const std::vector<float>& norm,
                    int64_t token, float* y) const {
    if (norm.empty()) {
      std::memcpy(y, x, static_cast<size_t>(head_dim_) * sizeof(float));
    } else {
      kernels().rms_norm(x, norm.data(), y, head_dim_, eps_);
    }
    if (!has_rope_) return;
    const RopeTable& table = step.rope_tables[rope_table_];
    kernels().rope(y, table.cosines(token), table.sines(token), y, table.n_pairs(), head_dim_,
                   neox_);
  }

  void store_head(const StepContext& step, int worker, int64_t token, int64_t head) const {
    const Columns& c = step.columns;
    float* key = scratch(step, worker).head;
    prepare_head(step, step.row(k_, token) + head * head_dim_, k_norm_, token, key);
    const int64_t position = c.positions[static_cast<size_t>(token)];
    const int64_t in_block = position % kv_->block_size, panel = in_block / kPanelTokens;
    const int64_t lane = in_block % kPanelTokens;
    const int64_t block = step.block(step.seq_of(token), position / kv_->block_size);
    kernels().store_key(kv_->k_type, key, head_dim_, kv_->keys(layer_, block, head, panel), lane);
    kernels().store_value(kv_->v_type, step.row(v_, token) + head * v_dim_, v_dim_,
                          kv_->values(layer_, block, head, panel), lane);
  }

  // The keys and values of the new tokens in the item's chunks.
  void store_item(const StepContext& step, int worker, const AttentionItem& item,
                  int64_t kv_head) const {
    const Columns& c = step.columns;
    const int64_t end = c.seq_starts[static_cast<size_t>(item.seq) + 1];
    for (int64_t token = c.seq_starts[static_cast<size_t>(item.seq)]; token < end; ++token) {
      const int64_t chunk = c.positions[static_cast<size_t>(token)] / kAttentionChunk;
      if (chunk >= item.chunk_begin && chunk < item.chunk_end)
        store_head(step, worker, token, kv_head);
    }
  }

  // Scaled queries of the item's rows, for scores in units of log2. Row r is token r / group, head
  // r % group of this KV head.
  void prepare_queries(const StepContext& step, const AttentionItem& item, int64_t kv_head,
                       const Scratch& s) const {
    const int64_t start = step.columns.seq_starts[static_cast<size_t>(item.seq)];
    for (int64_t r = item.row_begin; r < item.row_end; ++r) {
      const int64_t token = start + r / group_, head = kv_head * group_ + r % group_;
      float* q = s.q + (r - item.row_begin) * head_dim_;
      prepare_head(step, step.row(q_, token) + head * head_dim_, q_norm_, token, q);
      for (int64_t d = 0; d < head_dim_; ++d) q[d] *= scale_;
    }
  }

  // `next` is what this worker will probably attend to afterwards; null: nothing.
  void attend(const StepContext& step, int worker, const ItemHead& work,
              const ItemHead* next) const {
    const auto [item, kv_head] = work;
    const Scratch s = scratch(step, worker);
    const int64_t n_rows = item.row_end - item.row_begin;
    prepare_queries(step, item, kv_head, s);
    for (int64_t chunk = item.chunk_begin; chunk < item.chunk_end; ++chunk) {
      // Without a window every row's first chunk is the item's.
      const bool first = item.split < 0 &&
                         first_chunk(step, item.seq, item.row_end - 1) == item.chunk_begin &&
                         chunk == item.chunk_begin;
      float* out = first ? s.out : s.next_out;
      float* max = first ? s.max : s.next_max;
      float* sum = first ? s.sum : s.next_sum;
      attend_chunk(step, work, next, chunk, s, out, max, sum);
      if (first) continue;
      for (int64_t r = 0; r < n_rows; ++r) {
        if (s.n_visible[r] <= s.n_hidden[r]) continue;
        const float* row = out + r * kv_->v_stride;
        if (item.split >= 0) {
          save_partial(step, item, kv_head, r, chunk, max[r], sum[r], row);
        } else if (chunk == first_chunk(step, item.seq, item.row_begin + r)) {
          s.max[r] = max[r];
          s.sum[r] = sum[r];
          std::memcpy(s.out + r * kv_->v_stride, row, out_bytes());
        } else {
          kernels().attention_merge(s.max + r, s.sum + r, s.out + r * kv_->v_stride, max[r], sum[r],
                                    row, kv_->v_stride);
        }
      }
    }
    if (item.split >= 0) return;
    for (int64_t r = 0; r < n_rows; ++r) {
      kernels().attention_finish(s.out + r * kv_->v_stride, s.sum[r],
                                 out_head(step, item.seq, item.row_begin + r, kv_head), v_dim_);
    }
  }

  void attend_chunk(const StepContext& step, const ItemHead& work, const ItemHead* next,
                    int64_t chunk, const Scratch& s, float* out, float* max, float* sum) const {
    const AttentionItem& item = work.item;
    const Columns& c = step.columns;
    const int64_t start = c.seq_starts[static_cast<size_t>(item.seq)];
    const int64_t n_rows = item.row_end - item.row_begin;
    const int64_t first_token = chunk * kAttentionChunk;
    const AttentionPlan& plan = step.attention_plans[plan_];
    for (int64_t r = 0; r < n_rows; ++r) {
      const int64_t position =
          c.positions[static_cast<size_t>(start + (item.row_begin + r) / group_)];
      s.n_hidden[r] = in_chunk(plan.first_token(position) - first_token);
      s.n_visible[r] = in_chunk(position + 1 - first_token);
    }
    const uint16_t* panels[kMaxPanels];
    const int64_t n_panels = (s.n_visible[n_rows - 1] + kPanelTokens - 1) / kPanelTokens;
    list_panels(step, work, chunk, s.n_hidden[0] / kPanelTokens, n_panels, panels);
    list_panels_ahead(step, work, next, chunk, n_panels, panels + 2 * n_panels);
    const AttentionArgs args{kv_->k_type, kv_->v_type, n_rows,      head_dim_, kv_->v_stride,
                             s.q,         s.n_hidden,  s.n_visible, panels,    n_panels,
                             s.scores,    s.tile,      max,         sum,       out};
    kernels().attention_chunk(&args);
  }
  static int32_t in_chunk(int64_t token) {
    return static_cast<int32_t>(std::clamp<int64_t>(token, 0, kAttentionChunk));
  }

  // The first token, and its chunk, that a row of a sequence sees.
  int64_t first_token(const StepContext& step, int64_t seq, int64_t row) const {
    const Columns& c = step.columns;
    const int64_t token = c.seq_starts[static_cast<size_t>(seq)] + row / group_;
    return step.attention_plans[plan_].first_token(c.positions[static_cast<size_t>(token)]);
  }
  int64_t first_chunk(const StepContext& step, int64_t seq, int64_t row) const {
    return first_token(step, seq, row) / kAttentionChunk;
  }

  struct PanelPlace {
    int64_t block, panel;
  };
  PanelPlace place(const StepContext& step, int64_t seq, int64_t panel) const {
    const int64_t block_panels = kv_->block_size / kPanelTokens;
    return {step.block(seq, panel / block_panels), panel % block_panels};
  }

  // The panels of a chunk in the order they are read. No row sees the first n_hidden panels, whose
  // blocks may be gone: the next stands for them.
  void list_panels(const StepContext& step, const ItemHead& work, int64_t chunk, int64_t n_hidden,
                   int64_t n_panels, const uint16_t** panels) const {
    const int64_t first = chunk * (kAttentionChunk / kPanelTokens);
    for (int64_t p = 0; p < n_panels; ++p) {
      const auto [block, panel] = place(step, work.item.seq, first + std::max(p, n_hidden));
      panels[p] = kv_->keys(layer_, block, work.kv_head, panel);
      panels[n_panels + p] = kv_->values(layer_, block, work.kv_head, panel);
    }
  }

  // The keys read after a chunk: of the item's next chunk or of the next item.
  void list_panels_ahead(const StepContext& step, const ItemHead& work, const ItemHead* next,
                         int64_t chunk, int64_t n_panels, const uint16_t** panels) const {
    const int64_t chunk_panels = kAttentionChunk / kPanelTokens;
    const bool ends = next != nullptr && chunk + 1 == work.item.chunk_end;
    const auto& [item, kv_head] = ends ? *next : work;
    const int64_t first = ends ? first_panel(step, item) : chunk * chunk_panels + n_panels;
    const int64_t end = std::min(item.chunk_end * chunk_panels, n_panels_of(step, item));
    for (int64_t p = 0; p < kPanelsAhead; ++p) {
      const auto [block, panel] = place(step, item.seq, std::min(first + p, end - 1));
      panels[p] = kv_->keys(layer_, block, kv_head, panel);
    }
  }

  // The first panel that a row of an item sees.
  int64_t first_panel(const StepContext& step, const AttentionItem& item) const {
    const int64_t token = first_token(step, item.seq, item.row_begin);
    return std::max(item.chunk_begin * kAttentionChunk, token) / kPanelTokens;
  }

  // Panels that the last row of an item sees.
  int64_t n_panels_of(const StepContext& step, const AttentionItem& item) const {
    const Columns& c = step.columns;
    const int64_t last = c.seq_starts[static_cast<size_t>(item.seq)] + (item.row_end - 1) / group_;
    return c.positions[static_cast<size_t>(last)] / kPanelTokens + 1;
  }

  void save_partial(const StepContext& step, const AttentionItem& item, int64_t kv_head,
                    int64_t row, int64_t chunk, float max, float sum, const float* out) const {
    const AttentionSplit& split =
        step.attention_plans[plan_].splits()[static_cast<size_t>(item.split)];
    float* saved = partial(step, split, kv_head, row, chunk);
    saved[0] = max;
    saved[1] = sum;
    std::memcpy(saved + 16, out, out_bytes());
  }

  // Chunk results in ascending order, exactly as one worker would have merged them.
  void merge(const StepContext& step, const AttentionSplit& split, int64_t kv_head) const {
    const Columns& c = step.columns;
    const int64_t start = c.seq_starts[static_cast<size_t>(split.seq)];
    for (int64_t r = 0; r < split.row_end - split.row_begin; ++r) {
      const int64_t first = first_chunk(step, split.seq, split.row_begin + r);
      float* merged = partial(step, split, kv_head, r, first);
      const int64_t token = start + (split.row_begin + r) / group_;
      const int64_t n_chunks = c.positions[static_cast<size_t>(token)] / kAttentionChunk + 1;
      for (int64_t chunk = first + 1; chunk < n_chunks; ++chunk) {
        const float* next = partial(step, split, kv_head, r, chunk);
        kernels().attention_merge(merged, merged + 1, merged + 16, next[0], next[1], next + 16,
                                  kv_->v_stride);
      }
      kernels().attention_finish(merged + 16, merged[1],
                                 out_head(step, split.seq, split.row_begin + r, kv_head), v_dim_);
    }
  }

  size_t out_bytes() const { return static_cast<size_t>(kv_->v_stride) * sizeof(float); }

  float* out_head(const StepContext& step, int64_t seq, int64_t row, int64_t kv_head) const {
    const int64_t token = step.columns.seq_starts[static_cast<size_t>(seq)] + row / group_;
    return step.row(out_, token) + (kv_head * group_ + row % group_) * v_dim_;
  }

  const KVPool* kv_;
  Value q_, k_, v_, out_;
  int64_t layer_, n_heads_, n_kv_heads_, head_dim_, v_dim_, group_, window_;
  std::vector<float> q_norm_, k_norm_;  // empty: none
  float scale_;                         // of scores in units of log2
  float eps_;
  bool has_rope_, neox_;
  size_t rope_table_ = 0, plan_;
};

inline std::unique_ptr<Op> make_attention(OpReader& reader, BuildContext& context) {
  return std::make_unique<Attention>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_ATTENTION_H_
