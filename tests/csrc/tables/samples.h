// Reproducible inputs: the same on every machine, whatever its C++ library.
#ifndef PYLLM_TESTS_CSRC_TABLES_SAMPLES_H_
#define PYLLM_TESTS_CSRC_TABLES_SAMPLES_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "formats/half.h"

namespace pyllm_test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {  // splitmix64
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint8_t byte() { return static_cast<uint8_t>(next() >> 56); }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() >> 33) % n; }
  // Roughly normal: the sum of four uniform numbers in [-1, 1).
  float real() {
    float sum = 0.0f;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f;
    return sum;
  }
  std::vector<float> reals(int64_t n, float scale = 1.0f) {
    std::vector<float> x(static_cast<size_t>(n));
    for (float& v : x) v = real() * scale;
    return x;
  }
  std::vector<uint16_t> halves(int64_t n) {
    std::vector<uint16_t> x(static_cast<size_t>(n));
    for (uint16_t& v : x) v = pyllm::float_to_half(real());
    return x;
  }

 private:
  uint64_t state_;
};

// Values at which conversions and comparisons differ between careless implementations.
inline std::vector<float> special_values() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  return {0.0f,           -0.0f,
          0.5f,           -0.5f,
          1.5f,           -2.5f,
          127.5f,         1e-45f,
          -1e-40f,        1.1754944e-38f,
          6e-8f,          2.98e-8f,
          -6.1e-5f,       65504.0f,
          65519.99f,      65520.0f,
          -1e5f,          2.1474836e9f,
          2.1474835e9f,   -2.1474836e9f,
          -3e9f,          3.4028235e38f,
          -3.4028235e38f, kInf,
          -kInf,          std::numeric_limits<float>::quiet_NaN(),
          88.3f,          88.8f,
          -87.3f,         -104.0f};
}

// n special values, or random ones with a few special ones strewn in.
inline std::vector<float> special_row(int64_t n) {
  const std::vector<float> values = special_values();
  std::vector<float> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i) x[i] = values[i % values.size()];
  return x;
}

}  // namespace pyllm_test

#endif  // PYLLM_TESTS_CSRC_TABLES_SAMPLES_H_
