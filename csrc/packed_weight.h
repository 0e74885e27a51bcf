// A 2-D weight that owns its packed memory.
#ifndef PYLLM_CSRC_PACKED_WEIGHT_H_
#define PYLLM_CSRC_PACKED_WEIGHT_H_

#include <cstdint>
#include <memory>

#include "kernels/table.h"
#include "runtime/memory.h"

namespace pyllm {

class PackedWeight {
 public:
  // Packs `size` bytes of the file's row-major blocks with `threads` threads.
  // Throws std::invalid_argument when the type is unknown, the shape does not fit it or the size is
  // wrong.
  static std::shared_ptr<const PackedWeight> pack(int type, int64_t rows, int64_t cols,
                                                  const uint8_t* raw, int64_t size, int threads);

  const PackedTensor& tensor() const { return tensor_; }
  int64_t nbytes() const { return static_cast<int64_t>(memory_.size()); }
  int64_t file_bytes() const { return file_bytes_; }
  void unpack(uint8_t* raw) const;  // file_bytes() bytes, equal to what was packed

 private:
  PackedTensor tensor_{};
  int64_t file_bytes_ = 0;
  Buffer memory_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_PACKED_WEIGHT_H_
