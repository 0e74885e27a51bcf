#include "packed_weight.h"

#include <stdexcept>
#include <string>

#include "formats.h"
#include "packing.h"
#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

constexpr int64_t kBytesPerChunk = 1 << 20;

int64_t tile_count(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

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

}  // namespace

std::shared_ptr<const PackedWeight> PackedWeight::pack(int type, int64_t rows, int64_t cols,
                                                       const uint8_t* raw, int64_t size,
                                                       int threads) {
  const int64_t expected = checked_file_bytes(type, rows, cols);
  if (size != expected) {
    throw std::invalid_argument("packing needs " + std::to_string(expected) + " bytes, got " +
                                std::to_string(size));
  }
  auto weight = std::make_shared<PackedWeight>();
  weight->file_bytes_ = expected;
  weight->memory_ = Buffer(static_cast<size_t>(packed_bytes(type, rows, cols)));
  weight->tensor_ = {type, rows, cols, packed_tile_bytes(type, cols), weight->memory_.data()};

  struct Work {
    const PackedTensor& tensor;
    const uint8_t* raw;
    ThreadPool& pool;
    int64_t n_tiles, tiles_per_chunk;
  };
  ThreadPool pool(threads);
  const int64_t tiles_per_chunk = std::max<int64_t>(1, kBytesPerChunk / weight->tensor_.tile_bytes);
  Work work{weight->tensor_, raw, pool, tile_count(rows), tiles_per_chunk};
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

void PackedWeight::unpack(uint8_t* raw) const {
  unpack_tiles(tensor_, raw, 0, tile_count(tensor_.rows));
}

}  // namespace pyllm
