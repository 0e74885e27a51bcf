#include "codebooks.h"

#include <string.h>

#include <atomic>
#include <mutex>

#include "formats/codebook.h"

namespace pyllm {

int8_t codebook_iq1[2048][8];
int8_t codebook_iq2_xxs[256][8];
int8_t codebook_iq2_xs[512][8];
int8_t codebook_iq2_s[1024][8];
int8_t codebook_iq3_xxs[256][4];
int8_t codebook_iq3_s[512][4];

namespace {

struct Codebook {
  int types[2];  // ggml type ids that share it
  int8_t* values;
  int64_t size;
  std::atomic<bool> set{false};
};

Codebook codebooks[] = {
    {{19, 29}, codebook_iq1[0], sizeof codebook_iq1},
    {{16, 16}, codebook_iq2_xxs[0], sizeof codebook_iq2_xxs},
    {{17, 17}, codebook_iq2_xs[0], sizeof codebook_iq2_xs},
    {{22, 22}, codebook_iq2_s[0], sizeof codebook_iq2_s},
    {{18, 18}, codebook_iq3_xxs[0], sizeof codebook_iq3_xxs},
    {{21, 21}, codebook_iq3_s[0], sizeof codebook_iq3_s},
};

Codebook* find(int type) {
  for (Codebook& book : codebooks) {
    if (book.types[0] == type || book.types[1] == type) return &book;
  }
  return nullptr;
}

std::mutex writing;

}  // namespace

int64_t codebook_size(int type) {
  const Codebook* book = find(type);
  return book ? book->size : 0;
}

bool codebook_is_set(int type) {
  const Codebook* book = find(type);
  return book && book->set.load(std::memory_order_acquire);
}

CodebookResult set_codebook(int type, const int8_t* values, int64_t n) {
  Codebook* book = find(type);
  if (!book) return CodebookResult::kNoCodebook;
  if (n != book->size) return CodebookResult::kWrongSize;
  const size_t bytes = static_cast<size_t>(n);
  const std::lock_guard<std::mutex> lock(writing);
  if (book->set.load(std::memory_order_relaxed)) {
    return memcmp(book->values, values, bytes) == 0 ? CodebookResult::kSet
                                                    : CodebookResult::kDifferent;
  }
  memcpy(book->values, values, bytes);
  book->set.store(true, std::memory_order_release);
  return CodebookResult::kSet;
}

}  // namespace pyllm
