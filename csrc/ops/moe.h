// moe: each row through the few experts its router chooses, and their results added up.
#ifndef PYLLM_CSRC_OPS_MOE_H_
#define PYLLM_CSRC_OPS_MOE_H_

#include "isa/select.h"
#include "op_reader.h"
#include "ops/expert_stack.h"
#include "ops/matmul_cut.h"
#include "ops/routing.h"
#include "ops/rows_place.h"

namespace pyllm {

// Rows are normalised (optional) and quantised once for all experts; the router's logits choose
// n_used experts a row. The pairs (row, slot) are sorted by expert, so that an expert's rows lie
// together; (expert, chunk of matrix rows) items, those of the largest experts first, come from the
// shared counter: silu(gate) * up, then, with the hidden rows quantised once a pair, down. A row
// adds up its results in the order of its slots, best expert first, so nothing depends on the
// company of a row or on how the work was cut.
class Moe : public Op {
 public:
  Moe(OpReader& reader, BuildContext& context) {
    reader.expect_inputs(1, 2);
    reader.expect_outputs(1, 1);
    reader.expect_weights(5, 5);
    x_ = reader.input(0);
    y_ = reader.output(0);
    reader.expect(y_.rows == x_.rows, "the output must have the input's row class");
    n_experts_ = reader.integer("n_experts", 1, kMaxExperts);
    n_used_ = reader.integer("n_used", 1, n_experts_);
    n_ff_ = reader.integer("n_ff", 1, int64_t{1} << 24);
    renormalise_ = reader.integer("renormalise", 0, 1) == 1;
    eps_ = static_cast<float>(reader.number("eps", 0.0, 1.0));
    reader.expect_no_other_attrs();
    read_weights(reader);
    has_residual_ = reader.n_inputs() == 2;
    if (has_residual_) {
      residual_ = reader.input(1);
      reader.expect(residual_.width == y_.width && residual_.rows == y_.rows,
                    "the residual must have the output's shape");
    }
    reader.expect_no_overlap(OpReader::kAnyInput);  // x is read before the first barrier only
    const int64_t most =
        x_.rows == RowClass::kTokens ? context.limits.max_tokens : context.limits.max_rows;
    sizes_ = {std::max<int64_t>(1, most), n_experts_, n_used_};
    routing_ = Buffer(static_cast<size_t>(sizes_.bytes()));
    plan_buffers(context);
  }

  void run(const StepContext& step, int worker) const override {
    const int64_t n = step.n_rows(x_.rows);
    if (n == 0) return;
    const bool single = n == 1;  // every worker does the small things itself: cheaper than barriers
    if (single) {
      quantise_row(step, worker, 0);
    } else {
      for_each(step, n, [&](int64_t t) { quantise_row(step, worker, t); });
      step.pool.barrier();
    }
    multiply_router(step, worker, n);
    step.pool.barrier();
    const Routing routing = routing_of(step, worker);
    if (single) {
      choose(step, worker, routing, 0);
      routing.group(1);
    } else {
      for_each(step, n, [&](int64_t t) { choose(step, worker, routing, t); });
      step.pool.barrier();
      if (worker == 0) routing.group(n);
      step.pool.barrier();
      for_each(step, n, [&](int64_t t) { gather_row(step, routing, t); });
      step.pool.barrier();
    }
    multiply_gate_up(step, worker, routing, n);
    step.pool.barrier();
    for_each(step, n * n_used_, [&](int64_t pair) {
      const ActRows records = hidden_records(step);
      kernels().quantize_act(down_.kind(), hidden(step, pair), n_ff_, records.row(pair),
                             records.layout.block_stride);
    });
    step.pool.barrier();
    multiply_down(step, worker, routing, n);
    step.pool.barrier();
    add_up(step, routing, n);
  }

  // Only the experts that got a row were read.
  OpCost cost(const StepContext& step) const override {
    const int64_t n = step.n_rows(x_.rows);
    if (n == 0) return {};
    const Routing routing(sizes_, routing_.data());
    const int64_t expert = gate_.expert_bytes() + up_.expert_bytes() + down_.expert_bytes();
    const int64_t pair_macs = n_ff_ * (2 * x_.width + y_.width);
    return {router_->nbytes() + routing.n_active() * expert,
            n * (n_experts_ * x_.width + n_used_ * pair_macs)};
  }

 private:
  static constexpr int64_t kMaxExperts = 1 << 12;
  static constexpr int64_t kRouterTokens = 48;  // share one pass over the router's rows
  static constexpr int64_t kSumColumns = 512;

  void read_weights(const OpReader& reader) {
    norm_ = reader.optional_vector(0, x_.width);
    router_ = reader.matrix(1);
    reader.expect(router_->tensor().rows == n_experts_ && router_->tensor().cols == x_.width,
                  "weights[1] must have a row of the input's width for each expert");
    gate_ = ExpertStack(reader, 2, n_experts_, n_ff_, x_.width);
    up_ = ExpertStack(reader, 3, n_experts_, n_ff_, x_.width);
    down_ = ExpertStack(reader, 4, n_experts_, y_.width, n_ff_);
  }

  void plan_buffers(BuildContext& context) {
    const int64_t pairs = sizes_.max_tokens * n_used_;
    BufferPlan shared, own;
    for (const ActKind kind : {act_kind(router_->tensor().type), gate_.kind(), up_.kind()}) {
      if (inputs_[kind].used()) continue;
      inputs_[kind] = shared.add_act(kind, x_.width, sizes_.max_tokens);
    }
    for (const ActKind kind : {gate_.kind(), up_.kind()}) {
      if (!gathered_[kind].used()) gathered_[kind] = shared.add_act(kind, x_.width, pairs);
    }
    logits_ = shared.add_floats(sizes_.max_tokens, n_experts_);
    hidden_records_ = shared.add_act(down_.kind(), n_ff_, pairs);
    // Results are written when the hidden rows have been quantised: they share their place.
    const int64_t wide = std::max(n_ff_, y_.width);
    hidden_ = shared.add_floats(pairs, wide);
    context.activation_bytes = std::max(context.activation_bytes, shared.bytes());

    // A normalised row, terms of a softmax or the products of a pass; then what is a worker's own.
    own.add_floats(1, std::max({x_.width, n_experts_, 2 * kScratchFloats}));
    for (const ActKind kind : {kActF32, kActQ8x32, kActQ8x128}) {
      if (inputs_[kind].used()) own_inputs_[kind] = own.add_act(kind, x_.width, 1);
    }
    own_routing_ = own.add(1, RoutingSizes{1, n_experts_, n_used_}.bytes());
    int64_t tiles = kPassTiles * router_->tensor().tile_bytes;
    for (const ExpertStack* stack : {&gate_, &up_, &down_})
      tiles = std::max(tiles, chunk_bytes(stack->tile_bytes()));
    new_tiles_ = own.add(1, tiles);
    context.worker_bytes = std::max(context.worker_bytes, own.bytes());
  }

  // ---- places ----

  ActRows inputs(const StepContext& step, int worker, ActKind kind) const {
    const int64_t n = step.n_rows(x_.rows);
    if (n == 1) return own_inputs_[kind].rows(step.scratch(worker), 1);
    return inputs_[kind].rows(step.activations, n);
  }
  // The pairs' rows; a single row of a step is the same for all of them.
  ActRows gathered(const StepContext& step, int worker, ActKind kind) const {
    const int64_t n = step.n_rows(x_.rows);
    if (n == 1) return own_inputs_[kind].rows(step.scratch(worker), 1);
    return gathered_[kind].rows(step.activations, n * n_used_);
  }
  ActRows hidden_records(const StepContext& step) const {
    return hidden_records_.rows(step.activations, step.n_rows(x_.rows) * n_used_);
  }
  float* logits(const StepContext& step, int64_t t) const {
    return logits_.floats(step.activations, t);
  }
  float* hidden(const StepContext& step, int64_t place) const {
    return hidden_.floats(step.activations, place);
  }
  Routing routing_of(const StepContext& step, int worker) const {
    if (step.n_rows(x_.rows) > 1 || worker == 0) return Routing(sizes_, routing_.data());
    return Routing({1, n_experts_, n_used_}, own_routing_.row(step.scratch(worker), 0));
  }

  // ---- phases ----

  template <typename Body>
  static void for_each(const StepContext& step, int64_t n, Body body) {
    for_chunks(step.pool, n, even_chunk(step.pool, n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i);
    });
  }

  void quantise_row(const StepContext& step, int worker, int64_t t) const {
    const float* x = step.row(x_, t);
    if (!norm_.empty()) {
      auto* normed = reinterpret_cast<float*>(step.scratch(worker));
      kernels().rms_norm(x, norm_.data(), normed, x_.width, eps_);
      x = normed;
    }
    for (const ActKind kind : {kActF32, kActQ8x32, kActQ8x128}) {
      if (!inputs_[kind].used()) continue;
      const ActRows records = inputs(step, worker, kind);
      kernels().quantize_act(kind, x, x_.width, records.row(t), records.layout.block_stride);
    }
  }

  void multiply_router(const StepContext& step, int worker, int64_t n) const {
    const ActKind kind = act_kind(router_->tensor().type);
    const int64_t n_tiles = (n_experts_ + kTileRows - 1) / kTileRows;
    const int64_t tiles = n < kFewTokens ? 1 : kPassTiles;
    const ActRows records = inputs(step, worker, kind);
    const int64_t n_parts = (n_tiles + tiles - 1) / tiles;
    const int64_t n_blocks = (n + kRouterTokens - 1) / kRouterTokens;
    for_chunks(step.pool, n_parts * n_blocks, 1, [&](int64_t item, int64_t) {
      const int64_t tile = item % n_parts * tiles, t = item / n_parts * kRouterTokens;
      const int64_t end = std::min(tile + tiles, n_tiles);
      const PackedTensor router =
          router_->tiles(tile, end, step.keep_new_tiles, new_tiles_.row(step.scratch(worker), 0));
      const MatmulArgs args{&router,
                            0,
                            end - tile,
                            records.row(t),
                            records.layout.token_stride,
                            records.layout.block_stride,
                            std::min(kRouterTokens, n - t),
                            logits(step, t) + tile * kTileRows,
                            logits_.stride_floats()};
      kernels().matmul(&args);
    });
  }

  void choose(const StepContext& step, int worker, const Routing& routing, int64_t t) const {
    auto* terms = reinterpret_cast<float*>(step.scratch(worker));
    routing.choose(t, logits(step, t), renormalise_, terms);
  }

  // Copies a row's blocks to its places among the pairs.
  void gather_row(const StepContext& step, const Routing& routing, int64_t t) const {
    for (const ActKind kind : {kActF32, kActQ8x32, kActQ8x128}) {
      if (!gathered_[kind].used()) continue;
      const ActRows from = inputs(step, 0, kind), to = gathered(step, 0, kind);
      for (int64_t slot = 0; slot < n_used_; ++slot) {
        const int64_t place = routing.places(t)[slot];
        for (int64_t block = 0; block < gathered_[kind].n_blocks(); ++block) {
          std::copy_n(from.row(t) + block * from.layout.block_stride, from.layout.token_stride,
                      to.row(place) + block * to.layout.block_stride);
        }
      }
    }
  }

  // body(expert, tile_begin, tile_end) for chunks of all experts that have rows.
  template <typename Body>
  void for_expert_chunks(const StepContext& step, const Routing& routing, int64_t n,
                         int64_t n_tiles, int64_t tile_bytes, Body body) const {
    const int64_t mean_rows = n * n_used_ / routing.n_active();
    const int64_t tiles =
        chunk_tiles(routing.n_active() * n_tiles, tile_bytes, mean_rows, step.pool.active());
    const int64_t n_chunks = (n_tiles + tiles - 1) / tiles;
    for_chunks(step.pool, routing.n_active() * n_chunks, 1, [&](int64_t item, int64_t) {
      const int64_t begin = item % n_chunks * tiles;
      body(routing.expert(item / n_chunks), begin, std::min(begin + tiles, n_tiles));
    });
  }

  // body(tile_begin, tile_end, place, n) for passes of tiles over blocks of an expert's rows.
  template <typename Body>
  static void for_expert_passes(const Routing& routing, int64_t expert, int64_t tile_begin,
                                int64_t tile_end, int64_t row_bytes, Body body) {
    const int64_t start = routing.start(expert);
    for_passes(tile_begin, tile_end, routing.size(expert), row_bytes,
               [&](int64_t begin, int64_t end, int64_t row, int64_t n) {
                 body(begin, end, start + row, n);
               });
  }

  void multiply_gate_up(const StepContext& step, int worker, const Routing& routing,
                        int64_t n) const {
    auto* y = reinterpret_cast<float*>(step.scratch(worker));
    const auto product = [&](const ExpertStack& stack, int64_t expert, int64_t begin, int64_t end,
                             int64_t place, int64_t n_rows, float* out) {
      const ActRows rows = gathered(step, worker, stack.kind());
      stack.multiply(expert, begin, end, rows.row(n == 1 ? 0 : place), rows.layout, n_rows, out,
                     (end - begin) * kTileRows, step.keep_new_tiles,
                     new_tiles_.row(step.scratch(worker), 0));
    };
    const int64_t tile_bytes = gate_.tile_bytes() + up_.tile_bytes();
    for_expert_chunks(step, routing, n, gate_.tiles(), tile_bytes,
                      [&](int64_t expert, int64_t first, int64_t last) {
                        for_expert_passes(
                            routing, expert, first, last, inputs_[gate_.kind()].row_bytes(),
                            [&](int64_t begin, int64_t end, int64_t place, int64_t n_rows) {
                              product(gate_, expert, begin, end, place, n_rows, y);
                              product(up_, expert, begin, end, place, n_rows, y + kScratchFloats);
                              finish_hidden(step, begin, end, place, n_rows, y);
                            });
                      });
  }

  void finish_hidden(const StepContext& step, int64_t tile_begin, int64_t tile_end, int64_t place,
                     int64_t n_rows, const float* y) const {
    const int64_t first = tile_begin * kTileRows, width = (tile_end - tile_begin) * kTileRows;
    const int64_t n = std::min(width, n_ff_ - first);
    for (int64_t i = 0; i < n_rows; ++i, y += width) {
      kernels().silu_mul(y, y + kScratchFloats, hidden(step, place + i) + first, n);
    }
  }

  void multiply_down(const StepContext& step, int worker, const Routing& routing, int64_t n) const {
    const ActRows records = hidden_records(step);
    for_expert_chunks(step, routing, n, down_.tiles(), down_.tile_bytes(),
                      [&](int64_t expert, int64_t first, int64_t last) {
                        for_expert_passes(
                            routing, expert, first, last, hidden_records_.row_bytes(),
                            [&](int64_t begin, int64_t end, int64_t place, int64_t n_rows) {
                              down_.multiply(expert, begin, end, records.row(place), records.layout,
                                             n_rows, hidden(step, place) + begin * kTileRows,
                                             hidden_.stride_floats(), step.keep_new_tiles,
                                             new_tiles_.row(step.scratch(worker), 0));
                            });
                      });
  }

  void add_up(const StepContext& step, const Routing& routing, int64_t n) const {
    const int64_t n_parts = (y_.width + kSumColumns - 1) / kSumColumns;
    for_each(step, n * n_parts, [&](int64_t item) {
      const int64_t t = item / n_parts, first = item % n_parts * kSumColumns;
      const float* base = has_residual_ ? step.row(residual_, t) + first : nullptr;
      kernels().weighted_sum(hidden(step, 0) + first, hidden_.stride_floats(), routing.places(t),
                             routing.weights(t), n_used_, base, step.row(y_, t) + first,
                             std::min(kSumColumns, y_.width - first));
    });
  }

  Value x_, y_, residual_;
  int64_t n_experts_, n_used_, n_ff_;
  float eps_;
  bool renormalise_, has_residual_;
  std::vector<float> norm_;  // empty: none
  std::shared_ptr<const PackedWeight> router_;
  ExpertStack gate_, up_, down_;
  RoutingSizes sizes_;
  Buffer routing_;  // not shared: a profile reads it while others run the next op
  // Among the step's activations, inputs and gathered by kind: rows of tokens, then rows of pairs.
  ActPlace inputs_[kNumActKinds], gathered_[kNumActKinds], hidden_records_;
  RowsPlace logits_, hidden_;
  // In a worker's scratch, when the step has one row.
  ActPlace own_inputs_[kNumActKinds];
  RowsPlace own_routing_;
  RowsPlace new_tiles_;  // in a worker's scratch: tiles that are not kept
};

inline std::unique_ptr<Op> make_moe(OpReader& reader, BuildContext& context) {
  return std::make_unique<Moe>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_MOE_H_
