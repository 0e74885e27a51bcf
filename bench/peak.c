/* The most multiply-adds an instruction set can do: independent chains of its dot-product
   instructions on registers. peak_NAME does `rounds` times 12 steps: 12 chains cover 5 cycles of
   latency at 2 instructions a cycle. */
#include <stdint.h>

/* Makes the compiler believe that x changes here, so that nothing is hoisted or left out. */
#define OPAQUE(x) __asm__ volatile("" : REGISTER(x))

#define CHAIN(step, x) \
  OPAQUE(a);           \
  OPAQUE(b);           \
  x = step(x, a, b);   \
  OPAQUE(x)

/* Named chains, not an array: GCC keeps an array that is touched by asm in memory. */
#define PEAK(name, isa, Acc, Operand, step)                               \
  __attribute__((target(isa))) int64_t peak_##name(int64_t rounds) {       \
    Operand a = {0}, b = {0};                                              \
    Acc c0 = {0}, c1 = {0}, c2 = {0}, c3 = {0}, c4 = {0}, c5 = {0};        \
    Acc c6 = {0}, c7 = {0}, c8 = {0}, c9 = {0}, c10 = {0}, c11 = {0};      \
    for (int64_t i = 0; i < rounds; i++) {                                 \
      CHAIN(step, c0); CHAIN(step, c1); CHAIN(step, c2); CHAIN(step, c3);  \
      CHAIN(step, c4); CHAIN(step, c5); CHAIN(step, c6); CHAIN(step, c7);  \
      CHAIN(step, c8); CHAIN(step, c9); CHAIN(step, c10); CHAIN(step, c11); \
    }                                                                      \
    return (int64_t)c0[0]; /* asm keeps the other chains alive */          \
  }

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define REGISTER(x) "+v"(x)

/* Without VNNI two products meet in a 16-bit sum, which is exact for codes of up to 6 bits. */
#define PAIR256(acc, a, b)                                                      \
  _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_add_epi16(_mm256_maddubs_epi16(a, b), \
                                                           _mm256_maddubs_epi16(b, a)), \
                                          a))
#define PAIR512(acc, a, b)                                                      \
  _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_add_epi16(_mm512_maddubs_epi16(a, b), \
                                                           _mm512_maddubs_epi16(b, a)), \
                                          a))
#define FMA256(acc, a, b) _mm256_fmadd_ps(a, b, acc)
#define FMA512(acc, a, b) _mm512_fmadd_ps(a, b, acc)

PEAK(avx512vnni, "avx512f,avx512bw,avx512vnni", __m512i, __m512i, _mm512_dpbusd_epi32)
PEAK(avx512, "avx512f,avx512bw", __m512i, __m512i, PAIR512)
PEAK(avxvnni, "avx2,avxvnni", __m256i, __m256i, _mm256_dpbusd_avx_epi32)
PEAK(avx2, "avx2", __m256i, __m256i, PAIR256)

/* 12 products of tiles take 16 cycles each and stand for 16 rounds of 12 steps, so a step is 1,024 multiply-adds.
   Tile registers must be asked for (ARCH_REQ_XCOMP_PERM). */
int64_t peak_amx(int64_t rounds) {
  if (syscall(SYS_arch_prctl, 0x1023, 18) != 0) return 0;
  struct { uint8_t palette, start_row, reserved[14]; uint16_t row_bytes[16]; uint8_t rows[16]; } shapes = {1, 0};
  for (int tile = 0; tile < 8; tile++) shapes.row_bytes[tile] = 64, shapes.rows[tile] = 16;
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
#define PRODUCTS                      \
  "tdpbssd %%tmm6, %%tmm4, %%tmm0\n" \
  "tdpbssd %%tmm7, %%tmm4, %%tmm1\n" \
  "tdpbssd %%tmm6, %%tmm5, %%tmm2\n" \
  "tdpbssd %%tmm7, %%tmm5, %%tmm3\n"
  for (int64_t i = 0; i < rounds / 16; i++) __asm__ volatile(PRODUCTS PRODUCTS PRODUCTS ::);
#undef PRODUCTS
  __asm__ volatile("tilerelease");
  return rounds;
}

PEAK(fma512, "avx512f", __m512, __m512, FMA512)
PEAK(fma256, "avx2,fma", __m256, __m256, FMA256)

#elif defined(__aarch64__)
#include <arm_neon.h>
#define REGISTER(x) "+w"(x)

#define PAIRWISE(acc, a, b) \
  vpadalq_s16(acc, vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b))

PEAK(i8mm, "arch=armv8.2-a+i8mm", int32x4_t, int8x16_t, vmmlaq_s32)
PEAK(dotprod, "arch=armv8.2-a+dotprod", int32x4_t, int8x16_t, vdotq_s32)
PEAK(neon, "arch=armv8-a", int32x4_t, int8x16_t, PAIRWISE)
PEAK(fma128, "arch=armv8-a", float32x4_t, float32x4_t, vfmaq_f32)
#endif
