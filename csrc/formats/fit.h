// Least-squares search for the scale of a block: shared by the encoders.
#ifndef PYLLM_CSRC_FORMATS_FIT_H_
#define PYLLM_CSRC_FORMATS_FIT_H_

#include <math.h>
#include <stdint.h>

#include "formats/half.h"
#include "formats/lanes.h"

namespace pyllm {

// No block format reaches 5e8 (Q6_K, the widest, ends at 65504 * 128 * 32 = 2.7e8), and with
// values limited to it no sum below overflows a float.
constexpr float kLargestValue = 5e8f;
constexpr float kSmallestPeak = 1e-30f;  // below it 1 / scale would overflow: the block is zero
constexpr int kSearchSteps = 10;         // candidates on each side of the plain scale
constexpr int kMaxSubBlock = 32;         // values

static inline float limited(float x) { return limited_to(x, -kLargestValue, kLargestValue); }

static inline int rounded_int(float x, int lo, int hi) {
  return static_cast<int>(rounded(x, static_cast<float>(lo), static_cast<float>(hi)));
}

// A scale as a half, never rounded to Inf.
static inline uint16_t half_scale(float x) {
  return float_to_half(x > -65504.0f ? (x < 65504.0f ? x : 65504.0f) : -65504.0f);
}

static inline float inverse_or_zero(float x) { return fabsf(x) < kSmallestPeak ? 0.0f : 1.0f / x; }

// n is a multiple of 8 here and below.
static inline float dot(const float* x, const float* y, int n) {
  LaneSum xy;
  each_four(n, [&](int i, auto lane) { xy.*lane += load_lanes(x + i) * load_lanes(y + i); });
  return xy.total();
}

static inline float sum(const float* x, int n) {
  LaneSum all;
  each_four(n, [&](int i, auto lane) { all.*lane += load_lanes(x + i); });
  return all.total();
}

// The value of largest magnitude, sign kept.
static inline float peak_of(const float* x, int n) {
  float peak = 0.0f;
  for (int i = 0; i < n; ++i) {
    if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
  }
  return peak;
}

// Levels a quantised value may take: a functor from t = x / scale (a float or Lanes) to the nearest
// level, with the extreme levels lo and hi and `reach`, how far around an extreme the search moves
// the peak.
struct IntegerLevels {
  float lo, hi;
  float reach = 1.0f;
  template <class T>
  T operator()(T t) const {
    return rounded(t, lo, hi);
  }
};

template <class Levels>
static inline void to_levels(const float* x, int n, float inverse, const Levels& levels, float* q) {
  for (int i = 0; i < n; ++i) q[i] = levels(x[i] * inverse);
}

struct LevelSums {
  float xq, qq;
};

// x.q and q.q for the levels q nearest to x * inverse.
template <class Levels>
static inline LevelSums level_sums(const float* x, int n, float inverse, const Levels& levels) {
  LaneSum xq, qq;
  each_four(n, [&](int i, auto lane) {
    const Lanes v = load_lanes(x + i), q = levels(v * inverse);
    xq.*lane += v * q;
    qq.*lane += q * q;
  });
  return {xq.total(), qq.total()};
}

// sum (x - scale * q)^2 for the levels q nearest to x / scale.
template <class Levels>
static inline float level_error(const float* x, int n, float scale, const Levels& levels) {
  const float inverse = inverse_or_zero(scale);
  LaneSum squares;
  each_four(n, [&](int i, auto lane) {
    const Lanes v = load_lanes(x + i), error = v - scale * levels(v * inverse);
    squares.*lane += error * error;
  });
  return squares.total();
}

// The scale s that minimises sum (x - s * q)^2 with q the nearest levels to x / s. For fixed q the
// best s is (x.q)/(q.q) and explains (x.q)^2/(q.q) of sum x^2, so that ratio is maximised.
template <class Levels>
static inline float fit_scale(const float* x, int n, const Levels& levels) {
  const float peak = peak_of(x, n);
  if (fabsf(peak) < kSmallestPeak) return 0.0f;
  float best = 0.0f, best_gain = 0.0f;
  const auto consider = [&](float inverse) {
    const LevelSums sums = level_sums(x, n, inverse, levels);
    if (sums.xq * sums.xq > best_gain * sums.qq) {
      best_gain = sums.xq * sums.xq / sums.qq;
      best = sums.xq / sums.qq;
    }
  };
  const float extremes[2] = {levels.lo, levels.hi};
  for (const float extreme : extremes) {
    for (int step = -kSearchSteps; step <= kSearchSteps; ++step) {
      const float offset = levels.reach * static_cast<float>(step) / kSearchSteps;
      consider((extreme + offset) / peak);
    }
  }
  consider(inverse_or_zero(best));
  consider(inverse_or_zero(best));
  return best;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_FIT_H_
