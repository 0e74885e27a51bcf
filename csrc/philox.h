// Counter-based random numbers (Philox 4x32, 10 rounds; Salmon et al. 2011): no state between
// draws.
#ifndef PYLLM_CSRC_PHILOX_H_
#define PYLLM_CSRC_PHILOX_H_

#include <array>
#include <cstdint>

namespace pyllm {

// What a random number is for: numbers of different streams are independent.
enum class RandomStream : uint32_t { kDraw = 0, kXtc = 1 };

inline std::array<uint32_t, 4> philox(uint64_t seed, uint64_t counter,
                                      RandomStream stream = RandomStream::kDraw) {
  std::array<uint32_t, 4> c{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                            static_cast<uint32_t>(stream), 0};
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(product1),
         static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;  // golden ratio
    key1 += 0xBB67AE85;  // sqrt(3) - 1
  }
  return c;
}

// A draw in (0, 1) with 52 random bits; never 0, so that nothing of probability 0 is chosen.
inline double uniform(uint64_t seed, uint64_t position, RandomStream stream = RandomStream::kDraw) {
  const std::array<uint32_t, 4> bits = philox(seed, position, stream);
  const uint64_t mantissa = ((uint64_t{bits[0]} << 32) | bits[1]) >> 12;
  return (static_cast<double>(mantissa) + 0.5) * 0x1p-52;
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_PHILOX_H_
