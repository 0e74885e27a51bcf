// Temperature, fixed or following the entropy.
#ifndef PYLLM_CSRC_SAMPLING_TEMPERATURE_H_
#define PYLLM_CSRC_SAMPLING_TEMPERATURE_H_

#include "sampling/entropy.h"

namespace pyllm {

// 0 keeps the best token only. With a `range`, the temperature lies between temperature - range and
// temperature + range as (entropy / largest possible entropy) ^ exponent does between 0 and 1.
inline void apply_temperature(Selection* s, float temperature, float range, float exponent) {
  if (range > 0.0f) {
    const int64_t size = s->size();
    if (size <= 1) return;
    const double low = std::max(0.0f, temperature - range), high = temperature + range;
    const double share = surprise_of(s).entropy / std::log(static_cast<double>(size));
    temperature = static_cast<float>(
        low + (high - low) * std::pow(std::clamp(share, 0.0, 1.0), static_cast<double>(exponent)));
  }
  if (temperature > 0.0f) {
    s->divide_by(temperature);
  } else {
    s->keep_best(1);
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_TEMPERATURE_H_
