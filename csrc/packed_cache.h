// The packed tiles of a model in one file that every process maps.
#ifndef PYLLM_CSRC_PACKED_CACHE_H_
#define PYLLM_CSRC_PACKED_CACHE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "packed_weight.h"

namespace pyllm {

constexpr uint64_t kTileSeed = 0;  // of the checksums of tiles
constexpr int64_t kCacheKeyBytes = 16;

// File: a header of 64 bytes, one checksum for each tile of every weight, then the tiles of each
// weight from a page boundary. The header's own checksum covers the tiles' checksums, so opening
// reads 0.02 % of the file and the rest is verified tile by tile on first touch.
class PackedCache {
 public:
  using Weights = std::vector<std::shared_ptr<PackedWeight>>;
  using Progress = std::function<void(int64_t done, int64_t total)>;  // bytes; may throw to stop

  // Maps the cache and attaches the weights to it. Throws std::invalid_argument with the reason
  // when the file is not a whole cache of these weights, std::system_error when it cannot be read.
  static void open(const std::string& path, const std::string& key, const Weights& weights);
  // Writes the cache of weights that are read from a model file to an empty file and syncs it.
  // Throws std::system_error, std::runtime_error when the model cannot be read.
  static void write(int descriptor, const std::string& key, const Weights& weights, int threads,
                    const Progress& progress);

  PackedCache(std::string path, int descriptor, int64_t size);
  ~PackedCache();
  PackedCache(const PackedCache&) = delete;
  PackedCache& operator=(const PackedCache&) = delete;

  // A tile's checksum is wrong: says so once and deletes the file, if it is still the one mapped.
  void remove_damaged();

 private:
  // Private and writable: a damaged tile is packed again in place, which copies only its pages.
  uint8_t* data_ = nullptr;
  int64_t size_;
  std::string path_;
  uint64_t device_ = 0, inode_ = 0;
  std::atomic<bool> damaged_{false};
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_PACKED_CACHE_H_
