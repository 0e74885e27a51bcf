// A model file that weights are read from while steps run.
#ifndef PYLLM_CSRC_RUNTIME_WEIGHT_FILE_H_
#define PYLLM_CSRC_RUNTIME_WEIGHT_FILE_H_

#include <atomic>
#include <cstdint>

namespace pyllm {

// Reads with pread, not through a mapping: as fast from the page cache (6 GB/s, two threads), the
// source pages are never resident beside the packed copy, and a file that is cut short or fails
// under us is an error to report instead of a SIGBUS.
class WeightFile {
 public:
  // Duplicates the descriptor. Throws std::system_error.
  explicit WeightFile(int descriptor);
  ~WeightFile();
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  // Fills out[size] and asks the system to read ahead. When that fails out is zeroed, the reason
  // is kept for check() and the answer is false. Thread-safe.
  bool read(int64_t offset, int64_t size, uint8_t* out) const;

  // Throws std::runtime_error when a read has failed since the last check.
  void check() const;

 private:
  void read_ahead(int64_t offset, int64_t size) const;

  int descriptor_;
  mutable std::atomic<int> error_{0};  // errno of a failed read, kCutShort, or 0
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_RUNTIME_WEIGHT_FILE_H_
