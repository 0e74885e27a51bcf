// Cosines and sines of a step's tokens for one set of rotary frequencies, shared by all layers.
#ifndef PYLLM_CSRC_ROPE_TABLE_H_
#define PYLLM_CSRC_ROPE_TABLE_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/memory.h"

namespace pyllm {

struct RopeTable {
  std::vector<float> inv_freq;  // [n_pairs] radians per position
  double mscale;                // multiplies cosines and sines
  Buffer memory;                // float [max_tokens][2][n_pairs]: cosines, then sines

  RopeTable(std::vector<float> frequencies, double scale, int64_t max_tokens)
      : inv_freq(std::move(frequencies)),
        mscale(scale),
        memory(static_cast<size_t>(max_tokens) * 2 * inv_freq.size() * sizeof(float)) {}

  int64_t n_pairs() const { return static_cast<int64_t>(inv_freq.size()); }
  float* cosines(int64_t token) const { return memory.as<float>() + 2 * token * n_pairs(); }
  float* sines(int64_t token) const { return cosines(token) + n_pairs(); }

  // In double: a float angle of 100,000 radians would be wrong in its third digit.
  void fill(int64_t token, int32_t position) const {
    for (int64_t i = 0; i < n_pairs(); ++i) {
      const double angle = static_cast<double>(position) * inv_freq[static_cast<size_t>(i)];
      cosines(token)[i] = static_cast<float>(mscale * std::cos(angle));
      sines(token)[i] = static_cast<float>(mscale * std::sin(angle));
    }
  }
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_ROPE_TABLE_H_
