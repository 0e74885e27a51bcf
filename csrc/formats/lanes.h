// Four floats at once in GCC's and Clang's vector notation, for the encoders' sums. Each lane is a
// plain IEEE operation and the order of additions is fixed, so results are the same on every CPU.
#ifndef PYLLM_CSRC_FORMATS_LANES_H_
#define PYLLM_CSRC_FORMATS_LANES_H_

#include <stdint.h>
#include <string.h>

namespace pyllm {

using Lanes = float __attribute__((vector_size(16)));

static inline Lanes load_lanes(const float* p) {
  Lanes v;
  memcpy(&v, p, sizeof v);
  return v;
}

// Eight running sums: two registers hide the latency of the additions.
struct LaneSum {
  Lanes even = {}, odd = {};
  float total() const {
    const Lanes sum = even + odd;
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
  }
};

// Calls body(i, which) for i = 0, 4, 8, … below n, a multiple of 8; `which` picks the register of a
// LaneSum.
template <class Body>
static inline void each_four(int n, const Body& body) {
  for (int i = 0; i < n; i += 8) {
    body(i, &LaneSum::even);
    body(i + 4, &LaneSum::odd);
  }
}

// x limited to [lo, hi], for a float or Lanes; a NaN gives lo.
template <class T>
static inline T limited_to(T x, float lo, float hi) {
  const T low = T{} + lo, high = T{} + hi;
  x = x > low ? x : low;
  return x < high ? x : high;
}

// Nearest integer, ties to even, limited to [lo, hi] inside ±2^21; a NaN gives lo.
template <class T>
static inline T rounded(T x, float lo, float hi) {
  constexpr float kUnitSteps = 12582912.0f;  // 1.5 * 2^23: floats around it are whole numbers
  return (limited_to(x, lo, hi) + kUnitSteps) - kUnitSteps;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_FORMATS_LANES_H_
