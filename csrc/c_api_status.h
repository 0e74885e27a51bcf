// How the C ABI reports failures: a status, a line of text, and no exception across the border.
#ifndef PYLLM_CSRC_C_API_STATUS_H_
#define PYLLM_CSRC_C_API_STATUS_H_

#include <stdint.h>

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "formats.h"
#include "pyllm_kernels.h"

namespace pyllm {

// Leaves `message` for pyllm_last_error() and returns `status`.
int32_t fail(pyllm_status status, const std::string& message);

// a * b of two sizes; false when either is negative or the product does not fit.
bool multiply_sizes(int64_t a, int64_t b, int64_t* product);

// A matrix of `type` that can be decoded: the type is known, its codebook set, the shape fits.
// Sets *bytes to the size of its rows of blocks.
int32_t check_matrix(int32_t type, int64_t rows, int64_t cols, int64_t* bytes);

int32_t check_threads(int32_t threads);

// A buffer of `bytes` at `data`; zero bytes may be null.
int32_t check_buffer(const char* name, const void* data, int64_t bytes, int64_t needed);

// Runs a body that returns a status; turns what it throws into one.
template <class Body>
int32_t guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(PYLLM_NO_MEMORY, "not enough memory");
  } catch (const std::system_error& error) {
    return fail(PYLLM_NO_MEMORY, std::string("cannot start a thread: ") + error.what());
  } catch (const std::invalid_argument& error) {
    return fail(PYLLM_BAD_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return fail(PYLLM_BAD_ISA, error.what());
  }
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_C_API_STATUS_H_
