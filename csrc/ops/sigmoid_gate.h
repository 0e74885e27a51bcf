// sigmoid_gate: y * sigmoid(x . w), one factor for a whole row.
#ifndef PYLLM_CSRC_OPS_SIGMOID_GATE_H_
#define PYLLM_CSRC_OPS_SIGMOID_GATE_H_

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

class SigmoidGate : public Op {
 public:
  SigmoidGate(OpReader& reader, BuildContext&) {
    reader.expect_inputs(2, 2);
    reader.expect_outputs(1, 1);
    reader.expect_weights(1, 1);
    x_ = reader.input(0);
    y_ = reader.input(1);
    out_ = reader.output(0);
    reader.expect(x_.rows == y_.rows, "inputs must be of the same row class");
    reader.expect(y_.width == out_.width && y_.rows == out_.rows,
                  "output must have the second input's shape");
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(1);
    weight_ = reader.vector(0, x_.width);
  }

  void run(const StepContext& step, int) const override {
    for_chunks(step.pool, step.n_rows(out_.rows), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        kernels().sigmoid_gate(step.row(x_, t), weight_.data(), x_.width, step.row(y_, t),
                               step.row(out_, t), out_.width);
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {(4 * x_.width + 8 * out_.width) * step.n_rows(out_.rows), 0};
  }

 private:
  Value x_, y_, out_;
  std::vector<float> weight_;
};

inline std::unique_ptr<Op> make_sigmoid_gate(OpReader& reader, BuildContext& context) {
  return std::make_unique<SigmoidGate>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_SIGMOID_GATE_H_
