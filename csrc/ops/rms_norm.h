// rms_norm: rows, or groups of columns of each row, scaled to a root mean square of 1.
#ifndef PYLLM_CSRC_OPS_RMS_NORM_H_
#define PYLLM_CSRC_OPS_RMS_NORM_H_

#include "isa/select.h"
#include "op_reader.h"

namespace pyllm {

class RmsNorm : public Op {
 public:
  RmsNorm(OpReader& reader, BuildContext&) {
    reader.expect_inputs(1, 1);
    reader.expect_outputs(1, 1);
    reader.expect_weights(1, 1);
    x_ = reader.input(0);
    y_ = reader.output(0);
    reader.expect(x_.width == y_.width && x_.rows == y_.rows, "output must have the input's shape");
    eps_ = static_cast<float>(reader.number("eps", 0.0, 1.0));
    group_ = reader.integer("group", 0, x_.width);
    if (group_ == 0) group_ = x_.width;
    reader.expect(x_.width % group_ == 0, "attribute group must divide the width");
    reader.expect_no_other_attrs();
    reader.expect_no_overlap(OpReader::kAnyInput);
    weight_ = reader.vector(0, group_);
  }

  void run(const StepContext& step, int) const override {
    for_chunks(step.pool, step.n_rows(x_.rows), 1, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const float* x = step.row(x_, t);
        float* y = step.row(y_, t);
        for (int64_t i = 0; i < x_.width; i += group_) {
          kernels().rms_norm(x + i, weight_.data(), y + i, group_, eps_);
        }
      }
    });
  }

  OpCost cost(const StepContext& step) const override {
    return {8 * x_.width * step.n_rows(x_.rows), 0};
  }

 private:
  Value x_, y_;
  int64_t group_;
  float eps_;
  std::vector<float> weight_;
};

inline std::unique_ptr<Op> make_rms_norm(OpReader& reader, BuildContext& context) {
  return std::make_unique<RmsNorm>(reader, context);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_RMS_NORM_H_
