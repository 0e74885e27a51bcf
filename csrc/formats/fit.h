// Least-squares search for the scales of a block: shared by every encoder.
// All sums run over eight fixed lanes, so the loops vectorise and the result is the same
// everywhere.
#ifndef PYLLM_CSRC_FORMATS_FIT_H_
#define PYLLM_CSRC_FORMATS_FIT_H_

#include <math.h>
#include <stdint.h>

#include "formats/half.h"

namespace pyllm {

// No block format reaches 5e8 (Q6_K, the widest, ends at 65504 * 128 * 32 = 2.7e8), and with
// values limited to it no sum below overflows a float.
constexpr float kLargestValue = 5e8f;
constexpr float kSmallestPeak = 1e-30f;  // below it 1 / scale would overflow: the block is zero
constexpr int kSearchSteps = 10;         // candidates on each side of the plain scale
constexpr int kMaxSubBlock = 32;         // values

static inline float limited(float x) {
  return x > -kLargestValue ? (x < kLargestValue ? x : kLargestValue) : -kLargestValue;
}

// Nearest integer, ties to even, limited to [lo, hi]; a NaN gives lo.
static inline float rounded(float x, float lo, float hi) {
  const float r = rintf(x);
  return r > lo ? (r < hi ? r : hi) : lo;
}

static inline int rounded_int(float x, int lo, int hi) {
  return static_cast<int>(rounded(x, static_cast<float>(lo), static_cast<float>(hi)));
}

// A scale as a half, never rounded to Inf.
static inline uint16_t half_scale(float x) {
  return float_to_half(x > -65504.0f ? (x < 65504.0f ? x : 65504.0f) : -65504.0f);
}

static inline float inverse_or_zero(float x) { return fabsf(x) < kSmallestPeak ? 0.0f : 1.0f / x; }

static inline float sum_lanes(const float* lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// n is a multiple of 8 here and below.
static inline float dot(const float* x, const float* y, int n) {
  float lane[8] = {};
  for (int i = 0; i < n; i += 8) {
    for (int j = 0; j < 8; ++j) lane[j] += x[i + j] * y[i + j];
  }
  return sum_lanes(lane);
}

static inline float sum(const float* x, int n) {
  float lane[8] = {};
  for (int i = 0; i < n; i += 8) {
    for (int j = 0; j < 8; ++j) lane[j] += x[i + j];
  }
  return sum_lanes(lane);
}

// sum (x - (scale * q - min))^2
static inline float squared_error(const float* x, const float* q, int n, float scale, float min) {
  float lane[8] = {};
  for (int i = 0; i < n; i += 8) {
    for (int j = 0; j < 8; ++j) {
      const float error = x[i + j] - (scale * q[i + j] - min);
      lane[j] += error * error;
    }
  }
  return sum_lanes(lane);
}

// The value of largest magnitude, sign kept.
static inline float peak_of(const float* x, int n) {
  float peak = 0.0f;
  for (int i = 0; i < n; ++i) {
    if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
  }
  return peak;
}

// Levels a quantised value may take: a functor from t = x / scale to the nearest level, with the
// extreme levels lo and hi and `reach`, how far around an extreme the search moves the peak.
struct IntegerLevels {
  float lo, hi;
  float reach = 1.0f;
  float operator()(float t) const { return rounded(t, lo, hi); }
};

template <class Levels>
static inline void to_levels(const float* x, int n, float inverse, const Levels& levels, float* q) {
  for (int i = 0; i < n; ++i) q[i] = levels(x[i] * inverse);
}

template <class Levels>
static inline float level_error(const float* x, int n, float scale, const Levels& levels) {
  float q[kMaxSubBlock];
  to_levels(x, n, inverse_or_zero(scale), levels, q);
  return squared_error(x, q, n, scale, 0.0f);
}

// The scale s that minimises sum (x - s * q)^2 with q the nearest levels to x / s. For fixed q the
// best s is (x.q)/(q.q) and explains (x.q)^2/(q.q) of sum x^2, so that ratio is maximised.
template <class Levels>
static inline float fit_scale(const float* x, int n, const Levels& levels) {
  const float peak = peak_of(x, n);
  if (fabsf(peak) < kSmallestPeak) return 0.0f;
  float q[kMaxSubBlock];
  float best = 0.0f, best_gain = 0.0f;
  const auto consider = [&](float inverse) {
    to_levels(x, n, inverse, levels, q);
    const float xq = dot(x, q, n), qq = dot(q, q, n);
    if (xq * xq > best_gain * qq) {
      best_gain = xq * xq / qq;
      best = xq / qq;
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

struct Affine {
  float scale, min;  // value = scale * q - min
};

// Best scale and min for fixed q in 0..top; with bound_min, min may not be negative.
static inline Affine solve_affine(const float* x, const float* q, int n, bool bound_min) {
  const float count = static_cast<float>(n);
  const float sx = sum(x, n), sq = sum(q, n), xq = dot(x, q, n), qq = dot(q, q, n);
  const float determinant = count * qq - sq * sq;
  Affine fit = {0.0f, -sx / count};
  if (determinant > 0.0f) {
    fit.scale = (count * xq - sq * sx) / determinant;
    fit.min = (sq * xq - qq * sx) / determinant;
  }
  if (bound_min && fit.min < 0.0f) fit = {qq > 0.0f ? xq / qq : 0.0f, 0.0f};
  return fit;
}

static inline void to_affine(const float* x, int n, Affine fit, float top, float* q) {
  const float inverse = inverse_or_zero(fit.scale);
  for (int i = 0; i < n; ++i) q[i] = rounded((x[i] + fit.min) * inverse, 0.0f, top);
}

static inline float affine_error(const float* x, int n, Affine fit, float top) {
  float q[kMaxSubBlock];
  to_affine(x, n, fit, top, q);
  return squared_error(x, q, n, fit.scale, fit.min);
}

// Scale and min that minimise sum (x - (scale * q - min))^2, q in 0..top.
static inline Affine fit_affine(const float* x, int n, float top, bool bound_min) {
  float lo = x[0], hi = x[0];
  for (int i = 1; i < n; ++i) {
    lo = x[i] < lo ? x[i] : lo;
    hi = x[i] > hi ? x[i] : hi;
  }
  if (bound_min && lo > 0.0f) lo = 0.0f;
  Affine best = {0.0f, -lo};
  if (hi - lo < kSmallestPeak) return best;
  float q[kMaxSubBlock];
  float best_error = INFINITY;
  const auto consider = [&](Affine start) {
    to_affine(x, n, start, top, q);
    const Affine fit = solve_affine(x, q, n, bound_min);
    const float error = squared_error(x, q, n, fit.scale, fit.min);
    if (error < best_error) {
      best_error = error;
      best = fit;
    }
  };
  for (int step = -kSearchSteps; step <= kSearchSteps; ++step) {
    const float levels = top + static_cast<float>(step) / kSearchSteps;
    consider({(hi - lo) / levels, -lo});
  }
  consider(best);
  consider(best);
  return best;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_FIT_H_
