// A fast checksum against damage on disk; not against an adversary.
#ifndef PYLLM_CSRC_CHECKSUM_H_
#define PYLLM_CSRC_CHECKSUM_H_

#include <cstdint>
#include <cstring>

namespace pyllm {

// Eight lanes of h = (rotl(h, 23) ^ word) * odd. Every step is a bijection of h and of the word, so
// damage within 8 aligned bytes is always seen, other damage but once in 2^64. Plain 64-bit
// integers: 8 bytes a cycle on any CPU, which is more than memory delivers. A rest of fewer than
// 64 bytes is padded with zeros; the size is part of the sum.
inline uint64_t checksum(const uint8_t* data, int64_t size, uint64_t seed) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15u;
  constexpr int kLanes = 8;
  uint64_t lanes[kLanes];
  for (uint64_t i = 0; i < kLanes; ++i) lanes[i] = (seed + i + 1) * kOdd;
  const auto mix = [](uint64_t h, uint64_t word) {
    return (((h << 23) | (h >> 41)) ^ word) * kOdd;
  };
  const auto block = [&](const uint8_t* p) {
    uint64_t words[kLanes];
    std::memcpy(words, p, sizeof words);
    for (int i = 0; i < kLanes; ++i) lanes[i] = mix(lanes[i], words[i]);
  };
  int64_t at = 0;
  for (; at + 64 <= size; at += 64) block(data + at);
  if (at < size) {
    uint8_t rest[64] = {};
    std::memcpy(rest, data + at, static_cast<size_t>(size - at));
    block(rest);
  }
  uint64_t sum = static_cast<uint64_t>(size) * kOdd;
  for (const uint64_t lane : lanes) sum = mix(sum ^ (sum >> 32), lane);
  return sum ^ (sum >> 29);
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_CHECKSUM_H_
