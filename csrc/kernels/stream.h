// Keeps a core's share of the memory bandwidth busy. Included per instruction set.

// Where requested lines go. A stream, which waits for memory and nothing else, is faster into L2
// where that was measured: Zen 4 reads 17 GB/s a core and 28 with two, 12.5 and 22 into L1, which
// has fewer misses under way. What a panel is unpacked from must be in L1: 6 % in L2.
constexpr int kIntoL1 = 3, kIntoL2 = 2;
#ifndef PYLLM_ISA_STREAM_INTO
#define PYLLM_ISA_STREAM_INTO kIntoL1
#endif
constexpr int kStreamInto = PYLLM_ISA_STREAM_INTO;

// How far ahead of use weights are requested: with four streams about 0.7 us of 13 GB/s. L2 has
// room for more: 2 to 4 tokens, which come by in bursts, are 10 % faster so.
constexpr int64_t kPrefetchBytes = kStreamInto == kIntoL2 ? 9216 : 2304;

// Requests part `part` of `n_parts` of the bytes [p, p + bytes): a block asks for what comes next
// little by little, since a burst of 36 lines fills the core's line buffers and stalls it.
template <int kInto>
static PYLLM_INLINE void prefetch_part(const uint8_t* p, int64_t bytes, int part, int n_parts) {
  const int64_t lines = (bytes + kLine - 1) / kLine;
  for (int64_t i = lines * part / n_parts; i < lines * (part + 1) / n_parts; ++i)
    __builtin_prefetch(p + kLine * i, 0, kInto);
}

// What a register tile requests while it multiplies: `bytes` of each of its tiles, which are
// `stride` apart.
struct Ahead {
  const uint8_t* from;
  int64_t stride, bytes;

  PYLLM_INLINE Ahead share(int64_t i, int64_t n) const {
    const int64_t lines = (bytes + kLine - 1) / kLine, first = lines * i / n;
    return {from + kLine * first, stride, kLine * (lines * (i + 1) / n - first)};
  }
};

// From the start of a tile to its block `block`; past its end, to that of the tile which takes its
// place in the next group.
static PYLLM_INLINE int64_t block_offset(int64_t block, int64_t n_blocks, int64_t block_bytes,
                                         int64_t group_bytes) {
  return block < n_blocks ? block * block_bytes : group_bytes + (block - n_blocks) * block_bytes;
}
