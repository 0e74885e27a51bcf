// The order in which samplers are applied, as a column holds it: four bits each, first one lowest.
#ifndef PYLLM_CSRC_SAMPLING_ORDER_H_
#define PYLLM_CSRC_SAMPLING_ORDER_H_

#include <cstdint>
#include <initializer_list>

namespace pyllm {

enum class Step : uint8_t {
  kEnd,
  kPenalties,
  kDry,
  kTopNSigma,
  kTopK,
  kTypicalP,
  kTopP,
  kMinP,
  kXtc,
  kTemperature,
  kMirostatV1,
  kMirostatV2,
  kCount,
};

constexpr uint64_t in_order(std::initializer_list<Step> steps) {
  uint64_t order = 0;
  int shift = 0;
  for (const Step step : steps) {
    order |= static_cast<uint64_t>(step) << shift;
    shift += 4;
  }
  return order;
}

// vLLM's; rows that say nothing have it.
constexpr uint64_t kDefaultOrder =
    in_order({Step::kPenalties, Step::kTemperature, Step::kMinP, Step::kTopK, Step::kTopP});

inline bool is_valid_order(uint64_t order) {
  for (; order != 0; order >>= 4) {
    const uint64_t step = order & 15;
    if (step == 0 || step >= static_cast<uint64_t>(Step::kCount)) return false;
  }
  return true;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_ORDER_H_
