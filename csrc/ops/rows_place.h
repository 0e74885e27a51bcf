// Where arrays of rows lie in memory that is planned once and shared by ops.
#ifndef PYLLM_CSRC_OPS_ROWS_PLACE_H_
#define PYLLM_CSRC_OPS_ROWS_PLACE_H_

#include <cstdint>

#include "kernels/table.h"

namespace pyllm {

// Rows of `stride` bytes, aligned to kActAlign, from `offset` of some memory.
struct RowsPlace {
  int64_t offset = 0, stride = 0;

  bool used() const { return stride > 0; }
  int64_t stride_floats() const { return stride / static_cast<int64_t>(sizeof(float)); }
  uint8_t* row(uint8_t* memory, int64_t index) const { return memory + offset + index * stride; }
  float* floats(uint8_t* memory, int64_t index) const {
    return reinterpret_cast<float*>(row(memory, index));
  }
};

// Rows as a matmul wants them: blocks, whose place depends on how many rows a step has.
struct ActRows {
  uint8_t* data;
  ActLayout layout;

  uint8_t* row(int64_t index) const { return data + index * layout.token_stride; }
};

struct ActPlace {
  int64_t offset = 0, cols = 0;
  ActKind kind = kActF32;

  bool used() const { return cols > 0; }
  int64_t row_bytes() const { return act_layout(kind, cols, 1).bytes; }
  int64_t n_blocks() const { return kind == kActF32 ? 1 : (cols + 255) / 256; }
  ActRows rows(uint8_t* memory, int64_t n_rows) const {
    return {memory + offset, act_layout(kind, cols, n_rows)};
  }
};

// Puts arrays of rows one behind the other.
class BufferPlan {
 public:
  RowsPlace add(int64_t n_rows, int64_t row_bytes) {
    const RowsPlace place{bytes_, (row_bytes + kActAlign - 1) / kActAlign * kActAlign};
    bytes_ += n_rows * place.stride;
    return place;
  }
  RowsPlace add_floats(int64_t n_rows, int64_t width) {
    return add(n_rows, width * static_cast<int64_t>(sizeof(float)));
  }
  ActPlace add_act(ActKind kind, int64_t cols, int64_t n_rows) {
    const ActPlace place{bytes_, cols, kind};
    bytes_ += act_layout(kind, cols, n_rows).bytes;
    return place;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_OPS_ROWS_PLACE_H_
