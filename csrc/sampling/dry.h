// DRY, "don't repeat yourself" (Weidmann 2024): which tokens would go on with a repetition.
#ifndef PYLLM_CSRC_SAMPLING_DRY_H_
#define PYLLM_CSRC_SAMPLING_DRY_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace pyllm {

// For each token that followed an earlier occurrence of the text's end: the longest such occurrence
// in tokens, where it is at least `min_length`. Occurrences longer than `limit` count as that long.
// Linear in n: the Z algorithm over the reversed tokens.
inline std::map<int32_t, int32_t> find_repeats(const int32_t* tokens, int64_t n, int64_t limit,
                                               int64_t min_length) {
  std::map<int32_t, int32_t> repeats;
  const auto back = [&](int64_t i) { return tokens[n - 1 - i]; };
  std::vector<int64_t> matched(static_cast<size_t>(n), 0);  // with the end, i tokens before it
  int64_t begin = 0, end = 0;                               // the match that reaches farthest back
  for (int64_t i = 1; i < n; ++i) {
    int64_t length = i < end ? std::min(end - i, matched[static_cast<size_t>(i - begin)]) : 0;
    while (i + length < n && back(length) == back(i + length)) ++length;
    matched[static_cast<size_t>(i)] = length;
    if (i + length > end) begin = i, end = i + length;
    length = std::min(length, limit);
    if (length < min_length) continue;
    int32_t& longest = repeats[back(i - 1)];
    longest = std::max(longest, static_cast<int32_t>(length));
  }
  return repeats;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_DRY_H_
