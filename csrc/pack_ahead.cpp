#include "pack_ahead.h"

#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace pyllm {

PackAhead::PackAhead(Weights weights) : weights_(std::move(weights)) {
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error& error) {
    throw std::runtime_error(std::string("cannot start a thread: ") + error.what());
  }
}

PackAhead::~PackAhead() {
  stop();
  thread_.join();
}

void PackAhead::work() const {
  for (const auto& weight : weights_) {
    for (int64_t tile = 0; tile < weight->n_tiles(); ++tile) {
      if (stopping_.load(std::memory_order_relaxed)) return;
      weight->ensure(tile, tile + 1);
    }
  }
}

}  // namespace pyllm
