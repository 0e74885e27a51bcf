/* Adds up n 8-byte words in four chains of 64-byte vectors, asking for lines 2 KB ahead: as fast as
   one core can read. n is a multiple of 32. */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t Line __attribute__((vector_size(64)));

uint64_t read_all(const uint64_t* p, size_t n) {
  const Line* lines = (const Line*)p;
  Line s[4] = {{0}};
  for (size_t i = 0; i < n / 8; i += 4) {
    for (int j = 0; j < 4; j++) {
      __builtin_prefetch(lines + i + j + 32);
      s[j] += lines[i + j];
    }
  }
  const Line total = s[0] + s[1] + s[2] + s[3];
  uint64_t sum = 0;
  for (int j = 0; j < 8; j++) sum += total[j];
  return sum;
}
