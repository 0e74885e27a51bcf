// What it costs that all workers wait for each other: nanoseconds of empty barriers and jobs.
#include <chrono>
#include <cstdint>
#include <memory>

#include "../csrc/runtime/thread_pool.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Barriers {
  pyllm::ThreadPool& pool;
  int64_t count;
};

void wait_together(void* context, int /*worker*/) {
  const auto& barriers = *static_cast<const Barriers*>(context);
  for (int64_t i = 0; i < barriers.count; ++i) barriers.pool.barrier();
}

void nothing(void* /*context*/, int /*worker*/) {}

double nanoseconds_since(Clock::time_point start, int64_t count) {
  const std::chrono::duration<double, std::nano> spent = Clock::now() - start;
  return spent.count() / static_cast<double>(count);
}

}  // namespace

extern "C" {

void* new_pool(int workers) { return new pyllm::ThreadPool(workers); }

void delete_pool(void* pool) { delete static_cast<pyllm::ThreadPool*>(pool); }

// Nanoseconds of one barrier, the mean of `count` in one job.
double barrier_ns(void* pool, int64_t count) {
  Barriers barriers{*static_cast<pyllm::ThreadPool*>(pool), count};
  const auto start = Clock::now();
  barriers.pool.run(wait_together, &barriers);
  return nanoseconds_since(start, count);
}

// Nanoseconds of one job that does nothing, the mean of `count` one after the other.
double job_ns(void* pool, int64_t count) {
  auto& workers = *static_cast<pyllm::ThreadPool*>(pool);
  const auto start = Clock::now();
  for (int64_t i = 0; i < count; ++i) workers.run(nothing, nullptr);
  return nanoseconds_since(start, count);
}

}  // extern "C"
