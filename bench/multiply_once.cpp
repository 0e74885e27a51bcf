// multiply_once ISA TYPE ROWS COLS TOKENS TIMES: packs zeros and multiplies them, so that a counter
// of instructions sees one call more for one more in TIMES.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "formats.h"
#include "isa/select.h"
#include "packing.h"

namespace {

uint8_t* aligned_zeros(int64_t bytes) {
  void* p = ::operator new(static_cast<size_t>(bytes), std::align_val_t(64));
  return static_cast<uint8_t*>(std::memset(p, 0, static_cast<size_t>(bytes)));
}

int type_named(const char* name) {
  int count = 0;
  const pyllm::FormatInfo* formats = pyllm::all_formats(&count);
  for (int i = 0; i < count; ++i)
    if (std::strcmp(formats[i].name, name) == 0) return formats[i].id;
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  const int type = argc == 7 ? type_named(argv[2]) : -1;
  if (type < 0) {
    std::fprintf(stderr, "usage: multiply_once ISA TYPE ROWS COLS TOKENS TIMES\n");
    return 2;
  }
  pyllm::set_isa(argv[1]);
  const int64_t rows = std::atoll(argv[3]), cols = std::atoll(argv[4]);
  const int64_t n_tokens = std::atoll(argv[5]), times = std::atoll(argv[6]);
  const pyllm::PackedTensor w{type, rows, cols, pyllm::packed_tile_bytes(type, cols),
                              aligned_zeros(pyllm::packed_bytes(type, rows, cols))};
  const pyllm::ActLayout layout = pyllm::act_layout(pyllm::act_kind(type), cols, n_tokens);
  const uint8_t* act = aligned_zeros(layout.bytes);
  auto* y = reinterpret_cast<float*>(aligned_zeros(n_tokens * rows * 4));
  const pyllm::MatmulArgs args{
      &w, 0, (rows + 15) / 16, act, layout.token_stride, layout.block_stride, n_tokens, y, rows};
  for (int64_t i = 0; i < times; ++i) pyllm::kernels().matmul(&args);
}
