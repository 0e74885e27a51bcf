// Where a share of the probability lies, found without sorting.
#ifndef PYLLM_CSRC_SAMPLING_MASS_H_
#define PYLLM_CSRC_SAMPLING_MASS_H_

#include <cstdint>

namespace pyllm {

// Weights added up by distance, in 1,024 steps of 1/32; what is farther falls into the last one.
class MassByDistance {
 public:
  static constexpr int kSteps = 1024;
  static constexpr float kStepsPerUnit = 32.0f;

  void add(float distance, float weight) {
    const float step = distance * kStepsPerUnit;
    weights_[step < kSteps - 1 ? static_cast<int>(step) : kSteps - 1] += weight;
  }

  // A distance within which the weights reach `mass`, up to rounding; negative when only all of
  // them do.
  float reach(double mass) const {
    int step = 0;
    for (double reached = weights_[0]; reached < mass && step < kSteps - 1; ++step) {
      reached += weights_[step + 1];
    }
    return step >= kSteps - 2 ? -1.0f : static_cast<float>(step + 2) / kStepsPerUnit;
  }

 private:
  double weights_[kSteps] = {};
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_MASS_H_
