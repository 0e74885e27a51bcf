#include "runtime/memory.h"

#include <new>
#include <utility>

#if defined(_WIN32)
#include <windows.h>
#else
#include <sys/mman.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <cstdlib>
#include <cstring>
#endif

namespace pyllm {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

uint8_t* map_pages(size_t bytes) {
#if defined(_WIN32)
  return static_cast<uint8_t*>(
      VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE));
#else
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
  flags |= MAP_NORESERVE;  // a KV pool is sized for the worst case and rarely filled
#endif
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  return pages == MAP_FAILED ? nullptr : static_cast<uint8_t*>(pages);
#endif
}

void unmap_pages(uint8_t* pages, size_t bytes) {
#if defined(_WIN32)
  static_cast<void>(bytes);
  VirtualFree(pages, 0, MEM_RELEASE);
#else
  munmap(pages, bytes);
#endif
}

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer sees an overrun of the heap, not one of a mapping: all but the largest buffers
// come from the heap, with nothing to spare behind them.
constexpr size_t kHeapLimit = size_t{64} << 20;

uint8_t* heap_bytes(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, bytes) != 0) throw std::bad_alloc();
  return static_cast<uint8_t*>(std::memset(memory, 0, bytes));
}
#endif

uint8_t* align_up(uint8_t* p, size_t alignment) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return p + ((alignment - address % alignment) % alignment);
}

}  // namespace

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
#if defined(__SANITIZE_ADDRESS__)
  if (bytes < kHeapLimit) {
    data_ = heap_bytes(bytes);
    return;
  }
#endif
  const bool huge = bytes >= kHugePage;
  const size_t alignment = huge ? kHugePage : kPage;
  if (bytes > SIZE_MAX - 2 * kHugePage) throw std::bad_alloc();
  mapping_size_ = (bytes + kPage - 1) / kPage * kPage + (huge ? kHugePage : 0);
  mapping_ = map_pages(mapping_size_);
  if (mapping_ == nullptr) throw std::bad_alloc();
  data_ = align_up(mapping_, alignment);
#if defined(MADV_HUGEPAGE)
  // Advice only: a refusal costs TLB misses, not correctness.
  if (huge) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
}

Buffer::~Buffer() {
#if defined(__SANITIZE_ADDRESS__)
  if (mapping_ == nullptr) std::free(data_);
#endif
  if (mapping_ != nullptr) unmap_pages(mapping_, mapping_size_);
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_size_, other.mapping_size_);
  return *this;
}

}  // namespace pyllm
