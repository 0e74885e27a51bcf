// Large zeroed memory straight from the system: aligned to huge pages, touched lazily, freed with
// the owner.
#ifndef PYLLM_CSRC_RUNTIME_MEMORY_H_
#define PYLLM_CSRC_RUNTIME_MEMORY_H_

#include <cstddef>
#include <cstdint>

namespace pyllm {

// Move-only owner of `size()` zeroed bytes. Pages are not resident until written.
// Aligned to 64 bytes always and to 2 MiB (advised as huge pages) from 2 MiB upwards.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes);  // throws std::bad_alloc; 0 bytes is an empty buffer
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  uint8_t* data_ = nullptr;     // first usable byte
  size_t size_ = 0;             // bytes asked for
  uint8_t* mapping_ = nullptr;  // what the system gave, before alignment
  size_t mapping_size_ = 0;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_RUNTIME_MEMORY_H_
