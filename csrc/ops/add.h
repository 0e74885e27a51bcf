// add: the sum of two activations.
#ifndef PYLLM_CSRC_OPS_ADD_H_
#define PYLLM_CSRC_OPS_ADD_H_

#include "op_reader.h"

namespace pyllm {

class Add : public Op {
 public:
  Add(OpReader& reader, BuildContext&) {
    reader.expect_inputs(2, 2);
    reader.expect_outputs(1, 1);
    reader.expect_weights(0, 0);
    a_ = reader.input(0);
    b_ = reader.input(1);
    y_ = reader.output(0);
    reader.expect(a_.width == b_.width && a_.rows == b_.rows, "inputs must have the same shape");
    reader.expect(a_.width == y_.width && a_.rows == y_.rows, "output must have the inputs' shape");
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(OpReader::kAnyInput);
  }

  void run(const StepContext& step, int) const override {
    for_chunks(step.pool, step.n_rows(y_.rows), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const float* a = step.row(a_, t);
        const float* b = step.row(b_, t);
        float* y = step.row(y_, t);
        for (int64_t i = 0; i < y_.width; ++i) y[i] = a[i] + b[i];
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {12 * y_.width * step.n_rows(y_.rows), 0};
  }

 private:
  Value a_, b_, y_;
};

inline std::unique_ptr<Op> make_add(OpReader& reader, BuildContext& context) {
  return std::make_unique<Add>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_ADD_H_
