#include "packed_weight.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "checksum.h"
#include "formats.h"
#include "packed_cache.h"
#include "packing.h"
#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

constexpr int64_t kBytesPerChunk = 1 << 20;

// Bytes in the file; throws for everything that cannot be packed.
int64_t checked_file_bytes(int type, int64_t rows, int64_t cols) {
  const FormatInfo* format = format_info(type);
  if (format == nullptr) throw std::invalid_argument("unknown weight type " + std::to_string(type));
  if (!format_ready(type)) {
    throw std::invalid_argument(std::string(format->name) + ": its codebook has not been set");
  }
  const std::string shape =
      std::string(format->name) + " [" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
  const int64_t row_bytes = format_row_bytes(type, cols);
  if (rows < 1 || cols < 1 || row_bytes < 1) {
    throw std::invalid_argument(shape + ": columns must be a positive multiple of " +
                                std::to_string(format->block_elems));
  }
  if (packed_bytes(type, rows, cols) < 1 || rows > INT64_MAX / row_bytes) {
    throw std::invalid_argument(shape + ": too large");
  }
  return rows * row_bytes;
}

// The tile alone, as a tensor of at most 16 rows at `data`.
PackedTensor tile_alone(const PackedTensor& t, int64_t tile, uint8_t* data) {
  return {t.type, std::min(kTileRows, t.rows - tile * kTileRows), t.cols, t.tile_bytes, data};
}

// Where a thread puts the file's bytes of one tile: 18 to 130 KB that stay in its L2 cache.
uint8_t* staging(int64_t bytes) {
  thread_local std::vector<uint8_t> memory;
  if (static_cast<int64_t>(memory.size()) < bytes) memory.resize(static_cast<size_t>(bytes));
  return memory.data();
}

}  // namespace

PackedWeight::PackedWeight(int type, int64_t rows, int64_t cols,
                           std::shared_ptr<const WeightFile> file, int64_t offset)
    : file_(std::move(file)), offset_(offset) {
  checked_file_bytes(type, rows, cols);
  memory_ = Buffer(static_cast<size_t>(packed_bytes(type, rows, cols)));
  tensor_ = {type, rows, cols, packed_tile_bytes(type, cols), memory_.data()};
  if (file_ != nullptr) {
    states_ = std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(n_tiles()));
  }
}

std::shared_ptr<const PackedWeight> PackedWeight::pack(int type, int64_t rows, int64_t cols,
                                                       const uint8_t* raw, int64_t size,
                                                       int threads) {
  const int64_t expected = checked_file_bytes(type, rows, cols);
  if (size != expected) {
    throw std::invalid_argument("packing needs " + std::to_string(expected) + " bytes, got " +
                                std::to_string(size));
  }
  auto weight = std::make_shared<PackedWeight>(type, rows, cols, nullptr, 0);

  struct Work {
    const PackedTensor& tensor;
    const uint8_t* raw;
    ThreadPool& pool;
    int64_t n_tiles, tiles_per_chunk;
  };
  ThreadPool pool(threads);
  const int64_t tiles_per_chunk = std::max<int64_t>(1, kBytesPerChunk / weight->tensor_.tile_bytes);
  Work work{weight->tensor_, raw, pool, weight->n_tiles(), tiles_per_chunk};
  pool.run(
      [](void* context, int) {
        const Work& w = *static_cast<Work*>(context);
        for (int64_t chunk; (chunk = w.pool.next_chunk()) * w.tiles_per_chunk < w.n_tiles;) {
          const int64_t begin = chunk * w.tiles_per_chunk;
          pack_tiles(w.tensor, w.raw, begin, std::min(begin + w.tiles_per_chunk, w.n_tiles));
        }
      },
      &work);
  return weight;
}

PackedTensor PackedWeight::new_tiles(int64_t tile_begin, int64_t tile_end, bool keep,
                                     uint8_t* scratch) const {
  if (cache_ != nullptr || keep) {
    ensure(tile_begin, tile_end);
    return tail(tile_begin, kept_tile(tile_begin));
  }
  for (int64_t tile = tile_begin; tile < tile_end; ++tile)
    pack_from_file(tile, scratch + (tile - tile_begin) * tensor_.tile_bytes);
  return tail(tile_begin, scratch);
}

void PackedWeight::make_ready(int64_t tile) const {
  std::atomic<uint8_t>& state = states_[static_cast<size_t>(tile)];
  uint8_t seen = kUntouched;
  while (!state.compare_exchange_strong(seen, kBusy, std::memory_order_acquire)) {
    if (seen == kReady) return;
    state.wait(kBusy, std::memory_order_acquire);
    seen = kUntouched;
  }
  state.store(fill(tile) ? kReady : kUntouched, std::memory_order_release);
  state.notify_all();
}

bool PackedWeight::fill(int64_t tile) const {
  uint8_t* data = kept_tile(tile);
  if (cache_ != nullptr) {
    if (checksum(data, tensor_.tile_bytes, kTileSeed) == checksums_[static_cast<size_t>(tile)])
      return true;
    cache_->remove_damaged();
  }
  return pack_from_file(tile, data);
}

bool PackedWeight::pack_from_file(int64_t tile_index, uint8_t* tile) const {
  const PackedTensor alone = tile_alone(tensor_, tile_index, tile);
  const int64_t row_bytes = packed_row_bytes(tensor_);
  uint8_t* rows = staging(alone.rows * row_bytes);
  const int64_t at = offset_ + tile_index * kTileRows * row_bytes;
  const bool whole = file_->read(at, alone.rows * row_bytes, rows);
  pack_tiles(alone, rows, 0, 1);
  return whole;
}

void PackedWeight::attach(std::shared_ptr<PackedCache> cache, uint8_t* tiles,
                          std::vector<uint64_t> checksums) {
  cache_ = std::move(cache);
  checksums_ = std::move(checksums);
  tensor_.data = tiles;
  memory_ = Buffer();
}

void PackedWeight::dequantize_row(int64_t row, uint8_t* file_row, float* out) const {
  const int64_t tile = row / kTileRows;
  if (states_ == nullptr ||
      states_[static_cast<size_t>(tile)].load(std::memory_order_acquire) == kReady) {
    dequantize_packed_row(tensor_, row, file_row, out);
    return;
  }
  const int64_t row_bytes = packed_row_bytes(tensor_);
  file_->read(offset_ + row * row_bytes, row_bytes, file_row);
  format_info(tensor_.type)->dequantize_row(file_row, out, tensor_.cols);
}

void PackedWeight::unpack(uint8_t* raw) const {
  ensure(0, n_tiles());
  unpack_tiles(tensor_, raw, 0, n_tiles());
}

}  // namespace pyllm
