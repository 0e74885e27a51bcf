// take_rows: keeps the rows whose logits are wanted.
#ifndef PYLLM_CSRC_OPS_TAKE_ROWS_H_
#define PYLLM_CSRC_OPS_TAKE_ROWS_H_

#include <cstring>

#include "op_reader.h"

namespace pyllm {

class TakeRows : public Op {
 public:
  TakeRows(OpReader& reader, BuildContext&) {
    reader.expect_inputs(1, 1);
    reader.expect_outputs(1, 1);
    reader.expect_weights(0, 0);
    x_ = reader.input(0);
    y_ = reader.output(0);
    reader.expect(x_.width == y_.width, "output must have the input's width");
    reader.expect(x_.rows == RowClass::kTokens && y_.rows == RowClass::kRows,
                  "input must be of class T and output of class R");
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(OpReader::kNoInput);
  }

  void run(const StepContext& step, int) const override {
    for_chunks(step.pool, step.shape.n_rows, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t t = step.columns.logit_rows[static_cast<size_t>(row)];
        std::memcpy(step.row(y_, row), step.row(x_, t),
                    static_cast<size_t>(x_.width) * sizeof(float));
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {8 * x_.width * step.shape.n_rows, 0};
  }

 private:
  Value x_, y_;
};

inline std::unique_ptr<Op> make_take_rows(OpReader& reader, BuildContext& context) {
  return std::make_unique<TakeRows>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_TAKE_ROWS_H_
