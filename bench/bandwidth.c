/* Sums n 8-byte words with eight independent chains: as fast as one core can read. */
#include <stddef.h>
#include <stdint.h>

uint64_t read_all(const uint64_t* p, size_t n) {
  uint64_t s[8] = {0};
  for (size_t i = 0; i + 64 <= n; i += 64) {
    for (int j = 0; j < 64; j++) s[j & 7] += p[i + j];
  }
  return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}
