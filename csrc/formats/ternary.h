// Least-squares fit of -d, 0, d: shared by the TQ1_0 and TQ2_0 encoders.
#ifndef PYLLM_CSRC_FORMATS_TERNARY_H_
#define PYLLM_CSRC_FORMATS_TERNARY_H_

#include <stdint.h>

#include "formats/fit.h"

namespace pyllm {

// Values above a threshold become ±d with d their mean magnitude, which explains sum^2 / count of
// sum x^2; the best of 64 thresholds below the peak is taken. Exact when x is already ternary.
static inline uint16_t fit_ternary(const float* x, int n) {
  const float peak = fabsf(peak_of(x, n));
  float best = 0.0f, best_gain = 0.0f;
  for (int step = 0; step < 64; ++step) {
    const float threshold = peak * static_cast<float>(step) / 64.0f;
    LaneSum kept, ones;
    each_four(n, [&](int i, auto lane) {
      const Lanes v = load_lanes(x + i), size = v > 0.0f ? v : -v, one = Lanes{} + 1.0f;
      kept.*lane += size > threshold ? size : Lanes{};
      ones.*lane += size > threshold ? one : Lanes{};
    });
    const float total = kept.total(), count = ones.total();
    if (count > 0.0f && total * total / count > best_gain) {
      best_gain = total * total / count;
      best = total / count;
    }
  }
  return half_scale(best);
}

// 0, 1 or 2 for -d, 0, d.
static inline int trit(float x, float inverse) { return rounded_int(x * inverse, -1, 1) + 1; }

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_TERNARY_H_
