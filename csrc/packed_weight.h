// A 2-D weight in 16-row tiles, each packed by the first thread that needs it.
#ifndef PYLLM_CSRC_PACKED_WEIGHT_H_
#define PYLLM_CSRC_PACKED_WEIGHT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/table.h"
#include "runtime/memory.h"
#include "runtime/weight_file.h"

namespace pyllm {

class PackedCache;

class PackedWeight {
 public:
  // A matrix whose row-major blocks lie at `offset` of a file; nothing is read yet. Throws
  // std::invalid_argument when the type is unknown or the shape does not fit it.
  PackedWeight(int type, int64_t rows, int64_t cols, std::shared_ptr<const WeightFile> file,
               int64_t offset);
  // The same from `size` bytes in memory, all packed at once with `threads` threads. Throws
  // std::invalid_argument also when the size is wrong.
  static std::shared_ptr<const PackedWeight> pack(int type, int64_t rows, int64_t cols,
                                                  const uint8_t* raw, int64_t size, int threads);

  // Shape and place; the bytes of a tile may be read only after ensure().
  const PackedTensor& tensor() const { return tensor_; }
  int64_t n_tiles() const { return (tensor_.rows + kTileRows - 1) / kTileRows; }
  int64_t nbytes() const { return n_tiles() * tensor_.tile_bytes; }
  int64_t file_bytes() const { return tensor_.rows * packed_row_bytes(tensor_); }
  const std::shared_ptr<const WeightFile>& file() const { return file_; }  // null: from memory

  // Makes tiles [tile_begin, tile_end) readable; a tile that another thread packs is waited for.
  // A tile that cannot be read from the file is zeros, is tried again next time, and
  // file()->check() says why.
  void ensure(int64_t tile_begin, int64_t tile_end) const {
    if (states_ == nullptr) return;
    for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
      if (states_[tile].load(std::memory_order_acquire) != kReady) make_ready(tile);
    }
  }
  // Tiles [tile_begin, tile_end) alone, the first as tile 0: where they are kept, or, when they are
  // new and not to be kept, packed into `scratch` (64-byte aligned, of all their bytes) and
  // good until it is written again. The bytes of a tile are the same wherever it lies.
  PackedTensor tiles(int64_t tile_begin, int64_t tile_end, bool keep, uint8_t* scratch) const {
    if (kept(tile_begin, tile_end)) return tail(tile_begin, kept_tile(tile_begin));
    return new_tiles(tile_begin, tile_end, keep, scratch);
  }
  // One row as float[cols], from the packed tile when there is one, else from the file: looking up
  // rows packs nothing. file_row is scratch of packed_row_bytes(tensor()).
  void dequantize_row(int64_t row, uint8_t* file_row, float* out) const;

  // Packs one tile from the file into `tile` (tile_bytes); false when the file cannot be read.
  bool pack_from_file(int64_t tile_index, uint8_t* tile) const;
  // Lets the tiles live in a cache file's mapping, each verified on first touch. Not while a step
  // runs.
  void attach(std::shared_ptr<PackedCache> cache, uint8_t* tiles, std::vector<uint64_t> checksums);

  void unpack(uint8_t* raw) const;  // file_bytes() bytes, equal to what was packed

 private:
  enum State : uint8_t { kUntouched, kBusy, kReady };

  bool kept(int64_t tile_begin, int64_t tile_end) const {
    for (int64_t tile = tile_begin; states_ != nullptr && tile < tile_end; ++tile) {
      if (states_[tile].load(std::memory_order_acquire) != kReady) return false;
    }
    return true;
  }
  uint8_t* kept_tile(int64_t tile) const { return tensor_.data + tile * tensor_.tile_bytes; }
  // What begins with `tile`, which lies at `data`.
  PackedTensor tail(int64_t tile, uint8_t* data) const {
    return {tensor_.type, tensor_.rows - tile * kTileRows, tensor_.cols, tensor_.tile_bytes, data};
  }
  PackedTensor new_tiles(int64_t tile_begin, int64_t tile_end, bool keep, uint8_t* scratch) const;
  void make_ready(int64_t tile) const;
  bool fill(int64_t tile) const;

  PackedTensor tensor_{};
  Buffer memory_;  // of tiles that are in no cache file
  std::shared_ptr<const WeightFile> file_;
  int64_t offset_ = 0;
  std::unique_ptr<std::atomic<uint8_t>[]> states_;  // null: every tile is ready
  std::shared_ptr<PackedCache> cache_;
  std::vector<uint64_t> checksums_;  // of the cache's tiles
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_PACKED_WEIGHT_H_
