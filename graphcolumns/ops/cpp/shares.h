// Who computes which rows, and how a kernel is called.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

namespace graphcolumns {

// Calls f(begin, end) with parts of the rows; a thread that is done takes the next part. Every row is
// computed by one thread in one order, so results depend neither on the number of threads nor on
// who takes what. `work` numbers are touched in all; part p begins at row `bound(p, parts)`.
template <class Bound, class F> void over_parts(int64_t work, const Bound& bound, const F& f) {
  constexpr int64_t least = 1 << 18;  // numbers that are worth a part
  const int64_t threads = at::get_num_threads();
  const int64_t parts =
      std::max<int64_t>(1, std::min(threads == 1 ? 1 : 4 * threads, work / least));
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min(threads, parts), 1, [&](int64_t, int64_t) {
    for (int64_t part = next++; part < parts; part = next++)
      f(bound(part, parts), bound(part + 1, parts));
  });
}

// Parts of equally many rows.
template <class F> void over_equal(int64_t rows, int64_t per_row, const F& f) {
  const auto bound = [&](int64_t part, int64_t parts) { return rows * part / parts; };
  over_parts(rows * per_row, bound, f);
}

// Parts of about equally many edges.
template <class F>
void over_rows(const int64_t* pointers, int64_t rows, int64_t per_edge, const F& f) {
  const auto work = [&](int64_t row) { return pointers[row] + row; };
  const auto bound = [&](int64_t part, int64_t parts) {  // the first row that reaches the share
    const int64_t share = work(rows) * part / parts;
    int64_t low = 0, high = rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (work(middle) < share) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  over_parts(work(rows) * std::max<int64_t>(per_edge, 1), bound, f);
}

inline int64_t longest(const int64_t* pointers, int64_t begin, int64_t end) {
  int64_t most = 1;
  for (int64_t row = begin; row < end; ++row)
    most = std::max(most, pointers[row + 1] - pointers[row]);
  return most;
}

// Lanes are taken in slices of whole batch elements: rows of a slice are contiguous, and what a
// slice gathers stays in the cache.
inline int64_t slice_of(int64_t batch, int64_t heads) {
  constexpr int64_t lanes = 128;
  return std::min(batch, std::max<int64_t>(1, lanes / heads));
}

// 0, or 1 when memory ran out. Nothing is thrown: the caller is not C++.
template <class F> int without_exceptions(const F& f) {
  try {
    f();
    return 0;
  } catch (...) {
    return 1;
  }
}

}  // namespace graphcolumns

#define EXPORT extern "C" __attribute__((visibility("default")))
