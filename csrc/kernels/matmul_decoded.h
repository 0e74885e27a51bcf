// The IQ1, IQ2, IQ3 and ternary types: a tile is 16 plain file rows, decoded a block at a time into
// the panel of a superblock format and multiplied from there for any number of tokens. Included per
// instruction set.

// The panel's bytes are the quants plus 64.
struct DecodedQuants {
  static constexpr int kBits = 7, kSubs = 8, kGroups = 4;
  static constexpr int kOffset = 64, kMins = 0;
};

// A panel is 16 decoded blocks, transposed: word i of row r is lane r of line i.
template <int kType>
static void decode_panel(const uint8_t* tile, int64_t block, int64_t n_blocks, uint8_t* panel) {
  using P = SuperblockPanel<DecodedQuants>;
  static_assert(offsetof(DecodedBlock, scale) == 4 * P::kScaleLines &&
                offsetof(DecodedBlock, d) == 4 * P::kDLine);
  DecodedBlock rows[kTileRows];
  decode_tile_block(kType, tile, block, n_blocks, rows);
  const auto* words = reinterpret_cast<const uint8_t*>(rows);
  constexpr int32_t kStride = sizeof(DecodedBlock);
  const I32 sign = i32_set1(0x40404040), seven = i32_set1(0x7f7f7f7f);
  for (int i = 0; i < P::kScaleLines; ++i) {  // q + 64 in 7 bits
    const I32 quants = i32_gather(words + 4 * i, kStride);
    i32_store(panel + kLine * i, i32_and(i32_xor(quants, sign), seven));
  }
  for (int i = P::kScaleLines; i <= P::kDLine; ++i)
    i32_store(panel + kLine * i, i32_gather(words + 4 * i, kStride));
}
