// Attention along edges for one CPU: the forward pass over targets (CSR), and the backward pass
// over targets (gradients of q, bias, cost) and over sources (CSC; gradients of k and v). The
// mathematics stands in reference.py; cpp.py calls what is at the end of this file.
//
// Every row of an output has one writer, which adds in a fixed order.

#include <atomic>

#include "../cpp/shares.h"
#include "backward.h"
#include "softmax.h"

namespace graphcolumns {

template <class T> void times_lanes(const T* factors, int64_t lanes, int64_t width, T* row) {
  for (int64_t l = 0; l < lanes; ++l)
    for (int64_t d = 0; d < width; ++d) row[l * width + d] *= factors[l];
}

template <class T> void attend_(Work<T>& work, Softmax<T>& softmax, int64_t i, bool dropped) {
  const Attention& a = work.a;
  const int64_t begin = a.rowptr[i], end = a.rowptr[i + 1], width = a.value_width;
  T *out = work.row(a.out, i, width), *level = a.bias ? work.level.get() : nullptr;
  T* total = a.total ? work.row(a.total, i, 1) : nullptr;  // a cost of no edges is null
  const bool once = end - begin <= work.block;
  const auto finish = [&] {
    softmax.finish(
        level, work.row(a.lse, i, 1), work.row(a.highest, i, 1), work.row(a.log_mass, i, 1), total);
  };
  softmax.reset();
  work.centre_biases(begin, end);
  if (a.bias) {
    const EdgeValues<T> highest{work.highest_bias.get(), a.bias_values};
    highest.expand([](int64_t) { return 0; }, 1, work.lanes, level);
  }
  if (begin == end) {
    std::fill_n(softmax.shift.get(), work.lanes.width, T(0));
    std::fill_n(out, work.lanes.count * width, T(0));
  }
  for (int64_t at = begin; at < end; at += work.block) {
    const int64_t edges = std::min(work.block, end - at);
    for (int64_t e = 0; e < edges; ++e) {
      work.rows[e] = work.row(a.k, a.source[at + e], a.width);
      work.value_rows[e] = work.row(a.v, a.source[at + e], width);
    }
    work.score(work.row(a.q, i, a.width), [&](int64_t e) { return at - begin + e; }, edges, true);
    work.prepare([&](int64_t e) { return at + e; }, edges);
    T* p = work.s.get();
    softmax.add(p, work.lanes.lines(edges));
    if (a.dropout > 0)
      for (int64_t x = 0; x < edges * work.lanes.stride; x += VL<T>)
        store<T>(p + x, load(p + x) * load(work.keep.get() + x));
    if (a.cost) softmax.add_total(p, work.edge_cost.get(), work.lanes.lines(edges));
    if (once) {  // cheaper than to divide the sum
      finish();
      multiply_lines(p, softmax.factor.get(), work.lanes, edges);
    } else if (at != begin) times_lanes(softmax.factor.get(), work.lanes.count, width, out);
    if (work.closed || dropped) work.silence_rows(work.value_rows, edges, width, dropped);
    work.value_sums(work.value_rows.data(), p, edges, width, work.lanes, at != begin, out);
  }
  if (once && begin != end) return;
  finish();
  if (begin != end) times_lanes(softmax.factor.get(), work.lanes.count, width, out);
}

template <class T> void attend(Work<T>& work, Softmax<T>& softmax, int64_t i) {
  const int64_t width = work.a.value_width;
  attend_(work, softmax, i, false);
  // Nearly every edge is dropped for some lane: to copy all values would cost more than to repeat.
  if (work.a.dropout > 0 && !is_finite(work.row(work.a.out, i, width), work.lanes.count * width))
    attend_(work, softmax, i, true);
}

// ---- All rows

// Numbers in a buffer. A softmax over one block needs no second look at its sums; the backward
// passes read the rows of a block twice, so these should stay in the cache.
constexpr int64_t forward_numbers = 8192;
constexpr int64_t backward_numbers = 2048;

// Calls f(work, range of rows, first slice?) for every slice of lanes.
template <class T, class F>
void over_slices(
    const Attention& a, const int64_t* pointers, int64_t begin, int64_t end, int64_t numbers,
    const F& f) {
  const int64_t slice = slice_of(a.batch, a.heads), most = longest(pointers, begin, end);
  for (int64_t b = 0; b < a.batch; b += slice) {
    Work<T> work(a, b, std::min(slice, a.batch - b), most, numbers);
    f(work, b == 0);
  }
}

template <class T> void forward(const Attention& a) {
  const int64_t per_edge = a.batch * a.heads * (a.width + a.value_width);
  over_rows(a.rowptr, a.columns, per_edge, [&](int64_t begin, int64_t end) {
    over_slices<T>(a, a.rowptr, begin, end, forward_numbers, [&](Work<T>& work, bool) {
      Softmax<T> softmax(work.lanes);
      for (int64_t i = begin; i < end; ++i) attend(work, softmax, i);
    });
  });
}

template <class T> void backward(const Attention& a) {
  const int64_t per_edge = 2 * a.batch * a.heads * (a.width + a.value_width);
  std::atomic<bool> closed{false}, apart{false};  // some edge, some normaliser
  over_rows(a.rowptr, a.columns, per_edge, [&](int64_t begin, int64_t end) {
    over_slices<T>(a, a.rowptr, begin, end, backward_numbers, [&](Work<T>& work, bool first) {
      const int64_t width = work.lanes.width;
      Buffer<T> line[] = {Buffer<T>(width), Buffer<T>(width), Buffer<T>(width), Buffer<T>(width)};
      for (int64_t i = begin; i < end; ++i) {
        differentiate_target(work, line, i, !first);
        if (work.closed) closed.store(true, std::memory_order_relaxed);
        if (work.apart) apart.store(true, std::memory_order_relaxed);
      }
    });
  });
  over_rows(a.colptr, a.sources, per_edge, [&](int64_t begin, int64_t end) {
    over_slices<T>(a, a.colptr, begin, end, backward_numbers, [&](Work<T>& work, bool) {
      const int64_t held = work.held();
      Buffer<T> lines[] = {Buffer<T>(held), Buffer<T>(held), Buffer<T>(held), Buffer<T>(held)};
      work.closed = closed.load(std::memory_order_relaxed);
      work.apart = apart.load(std::memory_order_relaxed);
      for (int64_t j = begin; j < end; ++j) differentiate_source(work, lines, j);
    });
  });
}

}  // namespace graphcolumns

using graphcolumns::Attention;

EXPORT int attention_forward_float32(const Attention* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::forward<float>(*a); });
}
EXPORT int attention_forward_float64(const Attention* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::forward<double>(*a); });
}
EXPORT int attention_backward_float32(const Attention* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::backward<float>(*a); });
}
EXPORT int attention_backward_float64(const Attention* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::backward<double>(*a); });
}
