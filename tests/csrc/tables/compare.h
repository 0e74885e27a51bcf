// Runs one calculation on every instruction set of this machine and compares the results with the
// scalar one, bit for bit.
#ifndef PYLLM_TESTS_CSRC_TABLES_COMPARE_H_
#define PYLLM_TESTS_CSRC_TABLES_COMPARE_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "isa/select.h"

namespace pyllm_test {

// Any NaN equals any other: which payload survives an addition is the compiler's choice of order.
inline bool same_bits(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}
inline bool same_bits(uint8_t a, uint8_t b) { return a == b; }
inline bool same_bits(uint16_t a, uint16_t b) { return a == b; }
inline double shown(float x) { return static_cast<double>(x); }
inline double shown(uint8_t x) { return x; }
inline double shown(uint16_t x) { return x; }

class Comparison {
 public:
  // run(): a vector of float, uint8_t or uint16_t, calculated with pyllm::kernels().
  template <class Run>
  void check(const std::string& label, const Run& run) {
    pyllm::set_isa("scalar");
    const auto expected = run();
    for (const std::string& isa : pyllm::supported_isas()) {
      if (isa == "scalar") continue;
      pyllm::set_isa(isa);
      compare(isa + ": " + label, expected, run());
    }
  }
  int64_t cases() const { return cases_; }
  int64_t failures() const { return failures_; }

 private:
  template <class T>
  void compare(const std::string& label, const std::vector<T>& expected,
               const std::vector<T>& got) {
    ++cases_;
    for (size_t i = 0; i < expected.size(); ++i) {
      if (got.size() == expected.size() && same_bits(expected[i], got[i])) continue;
      ++failures_;
      std::printf("%s: element %zu of %zu is %.9g, scalar has %.9g\n", label.c_str(), i,
                  expected.size(), got.size() == expected.size() ? shown(got[i]) : 0.0,
                  shown(expected[i]));
      return;
    }
  }
  int64_t cases_ = 0, failures_ = 0;
};

void compare_packing(Comparison* comparison);
void compare_matmul(Comparison* comparison);
void compare_programs(Comparison* comparison);
void compare_attention(Comparison* comparison);

}  // namespace pyllm_test

#endif  // PYLLM_TESTS_CSRC_TABLES_COMPARE_H_
