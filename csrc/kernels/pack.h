// Moves the fields of file blocks into lines of 16 rows and back. Included per instruction set.

static void pack_words(const PackArgs* p, const PackField& f, const uint8_t* src, uint8_t* dst) {
  int i = 0;
  const int32_t stride = static_cast<int32_t>(p->src_row_bytes);
  for (; i + 1 < f.count; i += 2) {  // two words at a time: a 4-byte gather reads exactly both
    const I32 pair = i32_gather(src + 2 * i, stride);
    i32_store_u16(reinterpret_cast<uint16_t*>(dst + kHalfLine * i), pair);
    i32_store_u16(reinterpret_cast<uint16_t*>(dst + kHalfLine * (i + 1)), i32_shr<16>(pair));
  }
  if (i < f.count)
    for (int64_t row = 0; row < kTileRows; ++row)
      memcpy(dst + kHalfLine * i + 2 * row, src + row * p->src_row_bytes + 2 * i, 2);
}

static void pack_bytes(const PackArgs* p, const PackField& f, const uint8_t* src, uint8_t* dst) {
  for (int i = 0; i < f.count; ++i)
    for (int64_t row = 0; row < kTileRows; ++row)
      dst[kQuarterLine * i + row] = src[row * p->src_row_bytes + i];
}

// Swaps the bits `mask` of x with those `kBits` further up.
template <int kBits>
static inline I32 swap_bits(I32 x, int32_t mask) {
  const I32 t = i32_and(i32_xor(x, i32_shr<kBits>(x)), i32_set1(mask));
  return i32_xor(x, i32_or(t, i32_shl<kBits>(t)));
}
// The even bits, then the odd ones (Warren, Hacker's Delight, 7-2): bit number i4..i0 becomes
// i0 i4 i3 i2 i1.
static inline I32 unshuffle_bits(I32 x) {
  x = swap_bits<1>(x, 0x22222222);
  x = swap_bits<2>(x, 0x0c0c0c0c);
  x = swap_bits<4>(x, 0x00f000f0);
  return swap_bits<8>(x, 0x0000ff00);
}

static void pack_dwords(const PackArgs* p, const PackField& f, const uint8_t* src, uint8_t* dst) {
  const I32 flip = i32_set1(static_cast<int32_t>(p->flip));
  const int32_t stride = static_cast<int32_t>(p->src_row_bytes);
  for (int i = 0; i < f.count; ++i) {
    const I32 element = i32_gather(src + 4 * i, stride);
    const I32 moved =
        f.how == Packing::kBitPlanes ? unshuffle_bits(unshuffle_bits(element)) : element;
    i32_store(dst + kLine * i, i32_xor(moved, flip));
  }
}

// The weights of a Q6_K block, whole numbers again, and the fourth line of every sub-block in the
// top bits of its other three.
static void pack_six_bits(const PackArgs* p, const uint8_t* src, uint8_t* dst) {
  const int32_t stride = static_cast<int32_t>(p->src_row_bytes);
  const auto bits = [](int32_t mask) { return i32_set1(0x01010101 * mask); };
  for (int sixteen = 0; sixteen < 4; ++sixteen) {
    const int half = sixteen / 2, part = sixteen % 2;
    I32 quants[4][4];  // [quarter][line]: 16 elements of each of a half's quarters
    for (int line = 0; line < 4; ++line) {
      const int at = 16 * part + 4 * line;
      const I32 low0 = i32_gather(src + 64 * half + at, stride);
      const I32 low1 = i32_gather(src + 64 * half + 32 + at, stride);
      const I32 high = i32_gather(src + 128 + 32 * half + at, stride);
      const auto quant = [&](I32 low, I32 top) {
        return i32_or(i32_and(low, bits(15)), i32_and(top, bits(48)));
      };
      quants[0][line] = quant(low0, i32_shl<4>(high));
      quants[1][line] = quant(low1, i32_shl<2>(high));
      quants[2][line] = quant(i32_shr<4>(low0), high);
      quants[3][line] = quant(i32_shr<4>(low1), i32_shr<2>(high));
    }
    for (int quarter = 0; quarter < 4; ++quarter) {
      const I32(&q)[4] = quants[quarter];
      uint8_t* lines = dst + kLine * 3 * (8 * half + 2 * quarter + part);
      i32_store(lines, i32_or(q[0], i32_shl<6>(i32_and(q[3], bits(3)))));
      i32_store(lines + kLine, i32_or(q[1], i32_shl<4>(i32_and(q[3], bits(12)))));
      i32_store(lines + 2 * kLine, i32_or(q[2], i32_shl<2>(i32_and(q[3], bits(48)))));
    }
  }
}

static void pack_tile(const PackArgs* p) {
  for (int64_t block = 0; block < p->n_blocks; ++block) {
    const uint8_t* src = p->src + block * p->src_block_bytes;
    uint8_t* dst = p->dst + block * p->dst_block_bytes;
    for (int i = 0; i < p->n_fields; ++i) {
      const PackField& f = p->fields[i];
      if (f.how == Packing::kSixBits)
        pack_six_bits(p, src + f.src, dst + f.dst);
      else if (f.size == 1)
        pack_bytes(p, f, src + f.src, dst + f.dst);
      else if (f.size == 2)
        pack_words(p, f, src + f.src, dst + f.dst);
      else
        pack_dwords(p, f, src + f.src, dst + f.dst);
    }
  }
}
