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

static void pack_dwords(const PackArgs* p, const PackField& f, const uint8_t* src, uint8_t* dst) {
  const I32 flip = i32_set1(static_cast<int32_t>(p->flip));
  const int32_t stride = static_cast<int32_t>(p->src_row_bytes);
  for (int i = 0; i < f.count; ++i)
    i32_store(dst + kLine * i, i32_xor(i32_gather(src + 4 * i, stride), flip));
}

static void pack_tile(const PackArgs* p) {
  for (int64_t block = 0; block < p->n_blocks; ++block) {
    const uint8_t* src = p->src + block * p->src_block_bytes;
    uint8_t* dst = p->dst + block * p->dst_block_bytes;
    for (int i = 0; i < p->n_fields; ++i) {
      const PackField& f = p->fields[i];
      if (f.size == 2)
        pack_words(p, f, src + f.src, dst + f.dst);
      else
        pack_dwords(p, f, src + f.src, dst + f.dst);
    }
  }
}
