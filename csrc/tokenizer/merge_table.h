// Which two neighbouring symbols merge, into what, and how early.
#ifndef PYLLM_CSRC_TOKENIZER_MERGE_TABLE_H_
#define PYLLM_CSRC_TOKENIZER_MERGE_TABLE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pyllm::tokenizer {

struct Merge {
  int32_t rank;
  int32_t result;
};

constexpr int32_t kNoMerge = INT32_MAX;  // a rank that no rule has

struct Rule {
  int32_t left, right, result, rank;
};

// Open addressing, at most half full: 280 000 rules take 16 MB and a lookup about one cache miss.
class MergeTable {
 public:
  // Of two rules for one pair the first counts. All numbers are >= 0.
  MergeTable(const Rule* rules, size_t n) : mask_(std::bit_ceil(2 * n + 2) - 1), slots_(mask_ + 1) {
    for (const Rule* rule = rules; rule != rules + n; ++rule) {
      const uint64_t key = key_of(rule->left, rule->right);
      Slot& slot = slots_[slot_of(key)];
      if (slot.key == kEmpty) slot = {key, {rule->rank, rule->result}};
    }
  }

  Merge find(int32_t left, int32_t right) const {
    const Slot& slot = slots_[slot_of(key_of(left, right))];
    return slot.key == kEmpty ? Merge{kNoMerge, -1} : slot.merge;
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;  // symbols are >= 0, so no pair has this key

  struct Slot {
    uint64_t key = kEmpty;
    Merge merge{kNoMerge, -1};
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
  }

  // The pair's slot, or the empty one where it would go.
  size_t slot_of(uint64_t key) const {
    const uint64_t hash = key * 0x9E3779B97F4A7C15u;  // 2^64 / golden ratio
    size_t at = static_cast<size_t>(hash ^ (hash >> 32)) & mask_;
    while (slots_[at].key != key && slots_[at].key != kEmpty) at = (at + 1) & mask_;
    return at;
  }

  size_t mask_;
  std::vector<Slot> slots_;
};

}  // namespace pyllm::tokenizer

#endif  // PYLLM_CSRC_TOKENIZER_MERGE_TABLE_H_
