// silu_mul: silu(gate) * up.
#ifndef PYLLM_CSRC_OPS_SILU_MUL_H_
#define PYLLM_CSRC_OPS_SILU_MUL_H_

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

class SiluMul : public Op {
 public:
  SiluMul(OpReader& reader, BuildContext&) {
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
        kernels().silu_mul(a, b, y, y_.width);
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {12 * y_.width * step.n_rows(y_.rows), 0};
  }

 private:
  Value a_, b_, y_;
};

inline std::unique_ptr<Op> make_silu_mul(OpReader& reader, BuildContext& context) {
  return std::make_unique<SiluMul>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_SILU_MUL_H_
