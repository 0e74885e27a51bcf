#include "formats.h"

#include <string.h>

#include "codebooks.h"

#define PYLLM_FORMAT(...)
#include "formats/formats.def"
#undef PYLLM_FORMAT

namespace pyllm {
namespace {

// A type that decodes to small integers gives its values through them.
template <class Block>
concept DecodesToIntegers = requires(const Block& block, DecodedBlock* out) { decode(block, out); };

template <DecodesToIntegers Block>
void dequantize(const Block& block, float* y) {
  DecodedBlock decoded;
  decode(block, &decoded);
  for (int i = 0; i < 16; ++i) {
    const float scale = decoded.d * decoded.scale[i];
    for (int j = 0; j < 16; ++j) y[16 * i + j] = scale * static_cast<float>(decoded.q[16 * i + j]);
  }
}

// Blocks are copied out because a row may start at any byte (MXFP4 blocks are 17 bytes long).
template <class Block, int kElems>
void dequantize_row(const void* blocks, float* y, int64_t n) {
  const uint8_t* src = static_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < n / kElems; ++i) {
    Block block;
    memcpy(&block, src + i * static_cast<int64_t>(sizeof block), sizeof block);
    dequantize(block, y + i * kElems);
  }
}

template <class Block, int kElems>
void quantize_row(const float* x, void* blocks, int64_t n) {
  uint8_t* dst = static_cast<uint8_t*>(blocks);
  for (int64_t i = 0; i < n / kElems; ++i) {
    Block block;
    if constexpr (requires { block.qs[0], block.d; }) {
      // A half times small integers cannot hold more, and the searches may not overflow.
      float values[kElems];
      for (int j = 0; j < kElems; ++j) values[j] = limited(x[i * kElems + j]);
      quantize(values, &block);
    } else {
      quantize(x + i * kElems, &block);
    }
    memcpy(dst + i * static_cast<int64_t>(sizeof block), &block, sizeof block);
  }
}

using Decoder = void (*)(const void*, DecodedBlock*);

template <class Block>
constexpr Decoder integer_decoder() {
  if constexpr (DecodesToIntegers<Block>) {
    static_assert(alignof(Block) <= 2 && sizeof(Block) % 2 == 0);
    return [](const void* block, DecodedBlock* out) {
      decode(*static_cast<const Block*>(block), out);
    };
  } else {
    return nullptr;
  }
}

using Encoder = void (*)(const float*, void*, int64_t);

template <class Block, int kElems, bool kHasEncoder>
constexpr Encoder encoder() {
  if constexpr (kHasEncoder) {
    return quantize_row<Block, kElems>;
  } else {
    return nullptr;
  }
}

#define PYLLM_FORMAT(ID, NAME, ELEMS, BYTES, ENCODES) \
  static_assert(sizeof(Block##NAME) == BYTES);        \
  static_assert(alignof(Block##NAME) <= 4);
#include "formats/formats.def"
#undef PYLLM_FORMAT

constexpr FormatInfo kFormats[] = {
#define PYLLM_FORMAT(ID, NAME, ELEMS, BYTES, ENCODES) \
  {ID,                                                \
   #NAME,                                             \
   ELEMS,                                             \
   BYTES,                                             \
   dequantize_row<Block##NAME, ELEMS>,                \
   encoder<Block##NAME, ELEMS, ENCODES>(),            \
   integer_decoder<Block##NAME>()},
#include "formats/formats.def"
#undef PYLLM_FORMAT
};

}  // namespace

const FormatInfo* all_formats(int* count) {
  *count = static_cast<int>(sizeof kFormats / sizeof kFormats[0]);
  return kFormats;
}

const FormatInfo* format_info(int type) {
  for (const FormatInfo& info : kFormats) {
    if (info.id == type) return &info;
  }
  return nullptr;
}

int64_t format_row_bytes(int type, int64_t cols) {
  const FormatInfo* info = format_info(type);
  if (!info || cols < 0 || cols % info->block_elems != 0) return -1;
  const int64_t blocks = cols / info->block_elems;
  return blocks > INT64_MAX / info->block_bytes ? -1 : blocks * info->block_bytes;
}

bool format_ready(int type) {
  return format_info(type) && (codebook_size(type) == 0 || codebook_is_set(type));
}

}  // namespace pyllm
