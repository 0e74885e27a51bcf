// embed: one row of the table per token, times a scale.
#ifndef PYLLM_CSRC_OPS_EMBED_H_
#define PYLLM_CSRC_OPS_EMBED_H_

#include "op_reader.h"

namespace pyllm {

class Embed : public Op {
 public:
  Embed(OpReader& reader, BuildContext& context) {
    reader.expect_inputs(0, 0);
    reader.expect_outputs(1, 1);
    reader.expect_weights(1, 1);
    table_ = reader.matrix(0);
    out_ = reader.output(0);
    scale_ = static_cast<float>(reader.number("scale", -1e6, 1e6));
    reader.expect_no_other_attrs();
    reader.expect(out_.rows == RowClass::kTokens, "output must be of class T");
    reader.expect(out_.width == table_->tensor().cols, "output width must be the table's columns");
    context.worker_bytes = std::max(context.worker_bytes, packed_row_bytes(table_->tensor()));
    context.token_limit = std::min(context.token_limit, table_->tensor().rows);
  }

  void run(const StepContext& step, int worker) const override {
    for_chunks(step.pool, step.shape.n_tokens, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) write_row(step, worker, t);
    });
  }

  OpCost cost(const StepContext& step) const override {
    const PackedTensor& table = table_->tensor();
    return {step.shape.n_tokens * table.tile_bytes / kTileRows, 0};
  }

 private:
  void write_row(const StepContext& step, int worker, int64_t t) const {
    float* row = step.row(out_, t);
    const int64_t token = step.columns.tokens[static_cast<size_t>(t)];
    table_->dequantize_row(token, step.scratch(worker), row);
    if (scale_ == 1.0f) return;
    for (int64_t i = 0; i < out_.width; ++i) row[i] *= scale_;
  }

  std::shared_ptr<const PackedWeight> table_;
  Value out_;
  float scale_;
};

inline std::unique_ptr<Op> make_embed(OpReader& reader, BuildContext& context) {
  return std::make_unique<Embed>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_EMBED_H_
