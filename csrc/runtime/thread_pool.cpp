#include "runtime/thread_pool.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

namespace pyllm {
namespace {

using Clock = std::chrono::steady_clock;

// Longer than one op of a small model, shorter than a scheduler tick.
constexpr auto kSpinTime = std::chrono::microseconds(50);
constexpr int kPausesPerClockRead = 16;
// Yielding lets a preempted worker run on this CPU; after about a millisecond of it, sleeping is
// cheaper.
constexpr int kYields = 200;

void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int ThreadPool::check_size(int n_workers) {
  if (n_workers < 1 || n_workers > kMaxThreads) {
    throw std::invalid_argument("threads must be between 1 and " + std::to_string(kMaxThreads) +
                                ", got " + std::to_string(n_workers));
  }
  return n_workers;
}

ThreadPool::ThreadPool(int n_workers)
    : n_workers_(check_size(n_workers)),
      may_spin_(static_cast<unsigned>(n_workers) <= std::thread::hardware_concurrency()),
      mailboxes_(static_cast<size_t>(n_workers - 1)),
      shares_(static_cast<size_t>(n_workers)) {
  threads_.reserve(static_cast<size_t>(n_workers - 1));
  try {
    for (int worker = 1; worker < n_workers; ++worker) {
      threads_.emplace_back([this, worker] { worker_loop(worker); });
    }
  } catch (const std::system_error& error) {  // a limit on processes or memory
    const std::string started = std::to_string(threads_.size() + 1);
    stop();
    throw std::runtime_error("only " + started + " of " + std::to_string(n_workers) +
                             " threads could be started; ask for fewer: " + error.what());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_ = true;
  call_workers(n_workers_);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::run(Job job, void* context, int n_active) {
  const std::lock_guard lock(running_);
  job_ = job;
  context_ = context;
  n_active_ = n_active;
  reset_counters();
  call_workers(n_active);
  job(context, 0);
  barrier();
}

void ThreadPool::call_workers(int n_active) {
  for (size_t i = 0; i + 1 < static_cast<size_t>(n_active); ++i) {
    mailboxes_[i].n_jobs.fetch_add(1);  // publishes the job; sequentially consistent with sleepers
    mailboxes_[i].n_jobs.notify_one();  // a system call only when somebody sleeps
  }
}

void ThreadPool::reset_counters() {
  next_chunk_.store(0, std::memory_order_relaxed);
  for (size_t i = 0; i < static_cast<size_t>(n_active_); ++i)
    shares_[i].n_taken.store(0, std::memory_order_relaxed);
}

void ThreadPool::barrier() {
  if (n_active_ == 1) {
    reset_counters();
    return;
  }
  const uint32_t seen = barrier_number_.load(std::memory_order_relaxed);
  const auto last = static_cast<uint32_t>(n_active_ - 1);
  if (n_arrived_.fetch_add(1, std::memory_order_acq_rel) == last) {
    n_arrived_.store(0, std::memory_order_relaxed);
    reset_counters();
    barrier_number_.fetch_add(1);
    barrier_number_.notify_all();
  } else {
    wait_for_change(barrier_number_, seen);
  }
}

void ThreadPool::worker_loop(int worker) {
  const Counter& n_jobs = mailboxes_[static_cast<size_t>(worker - 1)].n_jobs;
  uint32_t seen = 0;
  while (true) {
    wait_for_change(n_jobs, seen);
    ++seen;  // run() ends with a barrier, so a worker never misses a job of its own
    if (stopping_) return;
    job_(context_, worker);
    barrier();
  }
}

void ThreadPool::wait_for_change(const Counter& counter, uint32_t seen) const {
  const auto changed = [&] { return counter.load(std::memory_order_acquire) != seen; };
  if (may_spin_) {
    const auto deadline = Clock::now() + kSpinTime;
    do {
      for (int i = 0; i < kPausesPerClockRead; ++i) {
        if (changed()) return;
        pause_cpu();
      }
    } while (Clock::now() < deadline);
  }
  for (int i = 0; i < kYields; ++i) {
    if (changed()) return;
    std::this_thread::yield();
  }
  while (!changed()) counter.wait(seen);
}

}  // namespace pyllm
