#include "runtime/weight_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>

namespace pyllm {
namespace {

constexpr int kCutShort = -1;
// Read-ahead in windows: one request per window that a read enters, one window in front of it.
constexpr int64_t kWindow = 8 << 20;

}  // namespace

WeightFile::WeightFile(int descriptor) : descriptor_(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "model file");
}

WeightFile::~WeightFile() { close(descriptor_); }

bool WeightFile::read(int64_t offset, int64_t size, uint8_t* out) const {
  read_ahead(offset, size);
  int64_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(descriptor_, out + done, static_cast<size_t>(size - done), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      error_ = got == 0 ? kCutShort : errno;
      std::memset(out, 0, static_cast<size_t>(size));
      return false;
    }
    done += got;
  }
  return true;
}

void WeightFile::read_ahead(int64_t offset, int64_t size) const {
#if defined(POSIX_FADV_WILLNEED)
  const int64_t window = (offset + size - 1) / kWindow;
  if (size > 0 && offset <= window * kWindow)
    posix_fadvise(descriptor_, (window + 1) * kWindow, kWindow, POSIX_FADV_WILLNEED);
#endif
}

void WeightFile::check() const {
  const int error = error_.exchange(0);
  if (error == 0) return;
  const std::string reason = error == kCutShort ? "it was cut short" : std::strerror(error);
  throw std::runtime_error("the model file cannot be read any more (" + reason +
                           "); load the model again");
}

}  // namespace pyllm
