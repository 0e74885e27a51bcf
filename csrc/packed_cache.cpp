#include "packed_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "checksum.h"
#include "kernels/r16.h"
#include "runtime/thread_pool.h"

namespace pyllm {
namespace {

constexpr int64_t kPage = 16384;  // the largest page of the systems we run on
constexpr uint64_t kHeaderSeed = 1;
constexpr char kMagic[8] = {'p', 'y', 'l', 'l', 'm', 'p', 'k', '\0'};

struct Header {
  char magic[8];
  uint32_t layout_version;
  uint32_t byte_order;  // 1, as this machine stores it
  char key[kCacheKeyBytes];
  int64_t n_tiles;
  int64_t file_bytes;
  uint64_t checksum;  // of the header with 0 here, and of the tiles' checksums behind it
  uint64_t unused;
};
static_assert(sizeof(Header) == 64);

// Where everything lies; the same for the same weights.
struct Plan {
  int64_t n_tiles = 0;
  std::vector<int64_t> first_tile;  // of each weight, among all checksums
  std::vector<int64_t> offset;      // of each weight's tiles
  int64_t file_bytes = 0;
};

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

Plan plan_for(const PackedCache::Weights& weights) {
  Plan plan;
  for (const auto& weight : weights) {
    plan.first_tile.push_back(plan.n_tiles);
    plan.n_tiles += weight->n_tiles();
  }
  plan.file_bytes = int64_t{sizeof(Header)} + 8 * plan.n_tiles;
  for (const auto& weight : weights) {
    plan.offset.push_back(round_up(plan.file_bytes, kPage));
    plan.file_bytes = plan.offset.back() + weight->nbytes();
  }
  return plan;
}

Header header_for(const Plan& plan, const std::string& key) {
  if (static_cast<int64_t>(key.size()) != kCacheKeyBytes) {
    throw std::invalid_argument("a cache key has 16 bytes");
  }
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.layout_version = kLayoutVersion;
  header.byte_order = 1;
  std::memcpy(header.key, key.data(), key.size());
  header.n_tiles = plan.n_tiles;
  header.file_bytes = plan.file_bytes;
  return header;
}

// Covers the header and the tiles' checksums behind it.
uint64_t head_checksum(Header header, const std::vector<uint64_t>& tiles) {
  header.checksum = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(tiles.data());
  const uint64_t sum = checksum(bytes, static_cast<int64_t>(8 * tiles.size()), kHeaderSeed);
  return checksum(reinterpret_cast<const uint8_t*>(&header), sizeof header, sum);
}

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Descriptor {
 public:
  explicit Descriptor(const std::string& path) : value(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (value < 0) fail(path);
  }
  ~Descriptor() { close(value); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int value;
};

void write_all(int descriptor, const uint8_t* data, int64_t size, int64_t offset) {
  while (size > 0) {
    const ssize_t done = pwrite(descriptor, data, static_cast<size_t>(size), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("packed cache");
    data += done;
    size -= done;
    offset += done;
  }
}

void expect(bool condition, const char* otherwise) {
  if (!condition) throw std::invalid_argument(otherwise);
}

void read_all(int descriptor, void* out, size_t size, int64_t offset) {
  auto* to = static_cast<uint8_t*>(out);
  while (size > 0) {
    const ssize_t got = pread(descriptor, to, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("packed cache");
    expect(got > 0, "it is cut short");
    to += got;
    size -= static_cast<size_t>(got);
    offset += got;
  }
}

// The tiles' checksums of a cache file whose head is as it must be.
std::vector<uint64_t> read_checksums(int descriptor, const Plan& plan, const Header& wanted) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail("packed cache");
  expect(S_ISREG(status.st_mode), "it is not a regular file");
  expect(status.st_size == plan.file_bytes, "it has another size");
  Header found{};
  read_all(descriptor, &found, sizeof found, 0);
  std::vector<uint64_t> tiles(static_cast<size_t>(plan.n_tiles));
  read_all(descriptor, tiles.data(), 8 * tiles.size(), sizeof found);
  const uint64_t sum = std::exchange(found.checksum, 0);
  expect(std::memcmp(&found, &wanted, sizeof found) == 0, "it belongs to another model or layout");
  expect(sum == head_checksum(found, tiles), "its header is damaged");
  return tiles;
}

// Packs and writes the tiles of one weight; what a thread throws is kept for the caller.
class WeightWriter {
 public:
  WeightWriter(int descriptor, const PackedWeight& weight, int64_t offset, uint64_t* checksums)
      : descriptor_(descriptor), weight_(weight), offset_(offset), checksums_(checksums) {}

  void run(ThreadPool& pool) {
    pool_ = &pool;
    pool.run([](void* self, int) { static_cast<WeightWriter*>(self)->work(); }, this);
    weight_.file()->check();
    if (errno = error_; errno != 0) fail("packed cache");
  }

 private:
  void work() {
    const int64_t bytes = weight_.tensor().tile_bytes;
    const Buffer tile(static_cast<size_t>(bytes));
    for (int64_t i; error_ == 0 && (i = pool_->next_chunk()) < weight_.n_tiles();) {
      if (!weight_.pack_from_file(i, tile.data())) return;
      checksums_[i] = checksum(tile.data(), bytes, kTileSeed);
      try {
        write_all(descriptor_, tile.data(), bytes, offset_ + i * bytes);
      } catch (const std::system_error& error) {
        error_ = error.code().value();
      }
    }
  }

  const int descriptor_;
  const PackedWeight& weight_;
  const int64_t offset_;
  uint64_t* const checksums_;
  ThreadPool* pool_ = nullptr;
  std::atomic<int> error_{0};
};

}  // namespace

PackedCache::PackedCache(std::string path, int descriptor, int64_t size)
    : size_(size), path_(std::move(path)) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail(path_);
  device_ = static_cast<uint64_t>(status.st_dev);
  inode_ = static_cast<uint64_t>(status.st_ino);
  int flags = MAP_PRIVATE;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;
#endif
  void* pages =
      mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (pages == MAP_FAILED) fail(path_);
  data_ = static_cast<uint8_t*>(pages);
}

PackedCache::~PackedCache() { munmap(data_, static_cast<size_t>(size_)); }

void PackedCache::open(const std::string& path, const std::string& key, const Weights& weights) {
  const Plan plan = plan_for(weights);
  const Descriptor file(path);
  const std::vector<uint64_t> tiles = read_checksums(file.value, plan, header_for(plan, key));
  const auto cache = std::make_shared<PackedCache>(path, file.value, plan.file_bytes);
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto first = tiles.begin() + plan.first_tile[i];
    weights[i]->attach(cache, cache->data_ + plan.offset[i],
                       {first, first + weights[i]->n_tiles()});
  }
}

void PackedCache::write(int descriptor, const std::string& key, const Weights& weights, int threads,
                        const Progress& progress) {
  const Plan plan = plan_for(weights);
  std::vector<uint64_t> checksums(static_cast<size_t>(plan.n_tiles));
  ThreadPool pool(threads);
  for (size_t i = 0; i < weights.size(); ++i) {
    uint64_t* own = checksums.data() + plan.first_tile[i];
    WeightWriter(descriptor, *weights[i], plan.offset[i], own).run(pool);
    progress(plan.offset[i] + weights[i]->nbytes(), plan.file_bytes);
  }
  Header header = header_for(plan, key);
  header.checksum = head_checksum(header, checksums);
  const auto* sums = reinterpret_cast<const uint8_t*>(checksums.data());
  write_all(descriptor, sums, 8 * plan.n_tiles, sizeof header);
  write_all(descriptor, reinterpret_cast<const uint8_t*>(&header), sizeof header, 0);
  if (fsync(descriptor) != 0) fail("packed cache");
}

void PackedCache::remove_damaged() {
  if (damaged_.exchange(true)) return;
  struct stat status {};
  const bool ours = stat(path_.c_str(), &status) == 0 &&
                    static_cast<uint64_t>(status.st_dev) == device_ &&
                    static_cast<uint64_t>(status.st_ino) == inode_;
  const bool removed = ours && unlink(path_.c_str()) == 0;
  std::fprintf(stderr,
               "pyllm: warning: %s is damaged%s; damaged weights are read from the model instead\n",
               path_.c_str(), removed ? " and was removed" : "");
}

}  // namespace pyllm
