// A fixed team of workers, the first k of which walk a job together, with a barrier, a shared chunk
// counter and one counter each.
#ifndef PYLLM_CSRC_RUNTIME_THREAD_POOL_H_
#define PYLLM_CSRC_RUNTIME_THREAD_POOL_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace pyllm {

constexpr int kMaxThreads = 1024;
constexpr int kCacheLine = 64;

// The thread that calls run() is worker 0; the others spin briefly between jobs, then sleep.
// Workers that a job leaves out sleep through it. A second run() waits for the first; barrier(),
// next_chunk(), next_of() and active() only inside a job.
class ThreadPool {
 public:
  // `worker` is in [0, active()). A job must not throw: there is nobody to catch on a worker.
  using Job = void (*)(void* context, int worker);

  // Returns n_workers; throws std::invalid_argument outside [1, kMaxThreads].
  static int check_size(int n_workers);

  // Throws as check_size, and std::runtime_error when the system refuses.
  explicit ThreadPool(int n_workers);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return n_workers_; }

  // Runs job(context, worker) once on each of the first `n_active` workers, 1 to size(), and
  // returns when all have finished.
  void run(Job job, void* context, int n_active);
  void run(Job job, void* context) { run(job, context, n_workers_); }

  // Workers that share the job.
  int active() const { return n_active_; }

  // Waits until every worker of the job has arrived; everything written before is visible after.
  // Also puts all counters back to 0.
  void barrier();

  // The next number 0, 1, 2, … since the last barrier (or the job's start), each handed out once.
  int64_t next_chunk() { return next_chunk_.fetch_add(1, std::memory_order_relaxed); }

  // The same for the share of one worker, who is not alone in taking from it.
  int64_t next_of(int worker) {
    return shares_[static_cast<size_t>(worker)].n_taken.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  using Counter = std::atomic<uint32_t>;

  void stop();
  void reset_counters();
  void call_workers(int n_active);
  void worker_loop(int worker);
  void wait_for_change(const Counter& counter, uint32_t seen) const;

  std::mutex running_;

  // A job for one worker: waiters poll it while others are called, so each has its own line.
  struct alignas(kCacheLine) Mailbox {
    Counter n_jobs{0};
  };

  struct alignas(kCacheLine) Share {
    std::atomic<int64_t> n_taken{0};
  };

  const int n_workers_;
  const bool may_spin_;  // false with more workers than CPUs: a spinner would keep the others out
  Job job_ = nullptr;
  void* context_ = nullptr;
  int n_active_ = 0;
  bool stopping_ = false;

  // Each on its own cache line: waiters poll them while others write.
  alignas(kCacheLine) Counter n_arrived_{0};
  alignas(kCacheLine) Counter barrier_number_{0};
  alignas(kCacheLine) std::atomic<int64_t> next_chunk_{0};

  std::vector<Mailbox> mailboxes_;  // of workers 1, 2, …
  std::vector<Share> shares_;
  std::vector<std::thread> threads_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_RUNTIME_THREAD_POOL_H_
