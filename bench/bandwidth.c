/* Adds up n 8-byte words, read as `streams` equal parts side by side, asking for lines `distance`
   ahead with one of the prefetch hints. n is a multiple of 32 * streams. */
#include <stddef.h>
#include <stdint.h>

typedef uint64_t Line __attribute__((vector_size(64)));

#define PREFETCH(locality) __builtin_prefetch(part + i + j + distance, 0, locality)
#define NOTHING (void)distance

#define READER(name, ask)                                                                   \
  static uint64_t name(const Line* lines, size_t n, size_t streams, size_t distance) {      \
    const size_t part_lines = n / 8 / streams;                                              \
    Line s[4] = {{0}};                                                                      \
    for (size_t i = 0; i < part_lines; i += 4) {                                            \
      for (const Line* part = lines; part < lines + n / 8; part += part_lines) {            \
        for (int j = 0; j < 4; j++) {                                                       \
          ask;                                                                              \
          s[j] += part[i + j];                                                              \
        }                                                                                   \
      }                                                                                     \
    }                                                                                       \
    const Line total = s[0] + s[1] + s[2] + s[3];                                           \
    uint64_t sum = 0;                                                                       \
    for (int j = 0; j < 8; j++) sum += total[j];                                            \
    return sum;                                                                             \
  }

READER(read_plain, NOTHING)
READER(read_nta, PREFETCH(0))
READER(read_t2, PREFETCH(1))
READER(read_t1, PREFETCH(2))
READER(read_t0, PREFETCH(3))

uint64_t read_all(int hint, const uint64_t* p, size_t n, size_t streams, size_t distance) {
  uint64_t (*const readers[])(const Line*, size_t, size_t, size_t) = {
      read_plain, read_nta, read_t2, read_t1, read_t0};
  return readers[hint]((const Line*)p, n, streams, distance);
}
