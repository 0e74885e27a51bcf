// The R16 layout: byte offsets inside packed blocks of 16 rows. Lines are 64 bytes: 16 rows x 4
// bytes.
//
// Packing moves 2- and 4-byte elements of a file block into lines, one row per lane, so a tile
// holds exactly the file's bits (each int8 of Q8_0 with its sign bit flipped, which makes it the
// unsigned side of a dot product; those of Q5_0, Q5_1 and Q6_K in an order of our own). Blocks
// whose 16-row size is an odd number of half lines are stored in pairs, so that lines stay aligned.
#ifndef PYLLM_CSRC_KERNELS_R16_H_
#define PYLLM_CSRC_KERNELS_R16_H_

#include <stdint.h>

namespace pyllm {

enum GgmlType : int {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kIQ1_M = 29,
  kBF16 = 30,
  kTQ1_0 = 34,
  kTQ2_0 = 35,
  kMXFP4 = 39,
};

// Packed tiles are kept in cache files: raise this with any change of what a tile holds, in this
// file, in packing.cpp or in packed_tile_bytes(), and old files are ignored.
constexpr uint32_t kLayoutVersion = 3;

constexpr int kLine = 64;
constexpr int kHalfLine = 32;  // 16 rows of one 16-bit scale

// Q4_0 and Q8_0, 32 elements: lines of quants. A pair is [d0 d1][body 0][body 1]; a last single is
// [body][d].
constexpr int kQ4_0Body = 4 * kLine;  // line i: low nibbles k = 4i.., high nibbles k = 16 + 4i..
constexpr int kQ8_0Body = 8 * kLine;  // line i: k = 4i.. 4i+3, biased by 128
// Q5_0: a line of fifth bits (bit g of byte b belongs to k = 4g + b: packing transposes the file's
// bits), then as Q4_0.
constexpr int kQ5_0Body = 5 * kLine;
// Q4_1: [d m][as Q4_0]. Q5_1: [d m][as Q5_0]. IQ4_NL: as Q4_0.
constexpr int kQ4_1Block = 5 * kLine;
constexpr int kQ5_1Block = 6 * kLine;
// MXFP4: four blocks share a line for their 16 exponent bytes: [e0 e1 e2 e3][4 bodies as Q4_0];
// fewer at the end of a row: [bodies][e...].
constexpr int kMXFP4Body = 4 * kLine;
constexpr int kQuarterLine = 16;

// Q4_K, 256 elements: [d dmin][scales: 3 lines][quants: 4 chunks of 8 lines, low nibble = sub-block
// 2c, high = 2c+1]
constexpr int kQ4_KScales = kLine;
constexpr int kQ4_KQuants = 4 * kLine;
constexpr int kQ4_KBlock = 36 * kLine;

// Q5_K: as Q4_K with 8 lines of fifth bits (bit s of a byte belongs to sub-block s) before the
// quants.
constexpr int kQ5_KHigh = 4 * kLine;
constexpr int kQ5_KQuants = 12 * kLine;
constexpr int kQ5_KBlock = 44 * kLine;

// Q6_K body: [scales: 4 lines][quants: 16 sub-blocks of 3 lines]; d as for Q4_0. The 16 elements of
// a sub-block are 4 lines of 6 bits: the first three as they are, two bits of the fourth above each
// (the lowest above the first). AVX-512 unpacks a line in 2.25 operations, the file's nibbles and
// high bits in 3.25, from three loads for four lines instead of eight.
constexpr int kQ6_KQuants = 4 * kLine;
constexpr int kQ6_KBody = 52 * kLine;

// Q3_K body: [high bits: 8 lines][low bits: 16 lines][scales: 3 lines]; d as for Q4_0.
constexpr int kQ3_KLow = 8 * kLine;
constexpr int kQ3_KScales = 24 * kLine;
constexpr int kQ3_KBody = 27 * kLine;

// Q2_K: [d dmin][scales and minimums: 4 lines][quants: 16 lines]
constexpr int kQ2_KScales = kLine;
constexpr int kQ2_KQuants = 5 * kLine;
constexpr int kQ2_KBlock = 21 * kLine;

// IQ4_XS: [d, high scale bits][low scale bits: 1 line][quants: 8 sub-blocks as Q4_0]
constexpr int kIQ4_XSScales = kLine;
constexpr int kIQ4_XSQuants = 2 * kLine;
constexpr int kIQ4_XSBlock = 34 * kLine;

}  // namespace pyllm

#endif  // PYLLM_CSRC_KERNELS_R16_H_
