// rope: rotary position embedding of every head of every row.
#ifndef PYLLM_CSRC_OPS_ROPE_H_
#define PYLLM_CSRC_OPS_ROPE_H_

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

class Rope : public Op {
 public:
  Rope(OpReader& reader, BuildContext& context) {
    reader.expect_inputs(1, 1);
    reader.expect_outputs(1, 1);
    reader.expect_weights(1, 1);
    x_ = reader.input(0);
    y_ = reader.output(0);
    reader.expect(x_.width == y_.width && x_.rows == y_.rows, "output must have the input's shape");
    reader.expect(x_.rows == RowClass::kTokens,
                  "input must be of class T: only tokens have positions");
    n_heads_ = reader.integer("n_heads", 1, x_.width);
    head_dim_ = reader.integer("head_dim", 1, x_.width);
    reader.expect(n_heads_ * head_dim_ == x_.width, "n_heads * head_dim must be the input's width");
    const int64_t rope_dim = reader.integer("rope_dim", 2, head_dim_);
    reader.expect(rope_dim % 2 == 0, "rope_dim must be even");
    neox_ = reader.choice("mode", {"interleaved", "neox"}) == 1;
    const double mscale = reader.number_or("mscale", 0.0, 1e3, 1.0);
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(OpReader::kAnyInput);
    table_ = context.rope_table(reader.vector(0, rope_dim / 2), mscale);
  }

  void run(const StepContext& step, int) const override {
    const RopeTable& table = step.rope_tables[table_];
    for_chunks(step.pool, step.shape.n_tokens, 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t i = 0; i < x_.width; i += head_dim_) {
          kernels().rope(step.row(x_, t) + i, table.cosines(t), table.sines(t), step.row(y_, t) + i,
                         table.n_pairs(), head_dim_, neox_);
        }
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {8 * x_.width * step.shape.n_tokens, 0};
  }

 private:
  Value x_, y_;
  int64_t n_heads_, head_dim_;
  bool neox_;
  size_t table_;
};

inline std::unique_ptr<Op> make_rope(OpReader& reader, BuildContext& context) {
  return std::make_unique<Rope>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_ROPE_H_
