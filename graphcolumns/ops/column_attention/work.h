// What one thread holds while it computes attention: a slice of the lanes, a block of edges.
#pragma once

#include <vector>

#include "../cpp/dots.h"
#include "../cpp/exponential.h"
#include "../cpp/sums.h"

namespace graphcolumns {

struct Attention {  // the same order of fields as in cpp.py
  const void *q, *k, *v, *bias, *cost;            // [N|M, B, H, D|Dv], [E] or [E, H]
  void *out, *total, *lse;                        // [N, B, H, Dv], [N, B, H], [N, B, H]
  const void *grad_out, *grad_total, *grad_lse;   // like out, total, lse; the last two may be null
  void *delta;                                    // [N, B, H], from one backward pass to the other
  void *grad_q, *grad_k, *grad_v, *grad_bias, *grad_cost;
  const int64_t *rowptr, *colptr, *csc_edge;
  const int32_t *source, *csc_target;
  int64_t columns, sources, batch, heads, width, value_width, bias_values, cost_values, seed;
  double scale, dropout;
};

// splitmix64, as in dropout.py
inline uint64_t mix(uint64_t counter) {
  uint64_t x = (counter + 1) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

template <class T> struct Buffer {  // zeroed, and readable past its end
  std::vector<T> numbers;
  explicit Buffer(int64_t size = 0) : numbers(size == 0 ? 0 : size + VL<T>) {}
  T* get() { return numbers.data(); }
};

// One thread's view of the arguments and its buffers: a slice of the lanes, a block of edges.
template <class T> struct Work {
  const Attention& a;
  const int64_t first, all;  // the first lane of the slice, all lanes of a row
  const Lanes<T> lanes;
  const int64_t block;  // edges that the buffers hold
  const T scale;
  const EdgeValues<T> bias, cost;
  const Dots<T> dots;
  const Dots<T> value_dots;
  const Sums<T> sums;
  const Sums<T> value_sums;
  std::vector<const T*> rows, value_rows;
  Buffer<T> s, t, edge_bias, edge_cost, keep, row_lse, row_delta, row_total;

  Work(const Attention& a, int64_t first_batch, int64_t batches, int64_t longest, int64_t numbers)
      : a(a),
        first(first_batch * a.heads),
        all(a.batch * a.heads),
        lanes(batches * a.heads),
        block(std::min(longest, std::max<int64_t>(VL<T>, numbers / lanes.stride))),
        scale(T(a.scale)),
        bias{static_cast<const T*>(a.bias), a.bias_values},
        cost{static_cast<const T*>(a.cost), a.cost_values},
        dots(dots_for<T>(a.width)),
        value_dots(dots_for<T>(a.value_width)),
        sums(sums_for<T>(a.width)),
        value_sums(sums_for<T>(a.value_width)),
        rows(block),
        value_rows(block),
        s(held()),
        t(held()),
        edge_bias(bias.values ? held() : 0),
        edge_cost(cost.values ? held() : 0),
        keep(a.dropout > 0 ? held() : 0) {}

  int64_t held() const { return lanes.lines(block) * lanes.width + lanes.width; }

  const T* row(const void* base, int64_t i, int64_t width) const {
    return static_cast<const T*>(base) + (i * all + first) * width;
  }
  T* row(void* base, int64_t i, int64_t width) const {
    return static_cast<T*>(base) + (i * all + first) * width;
  }

  // s = scale x products + bias, and -inf where a line holds no edge.
  template <class Id> void score(const T* mine, const Id& id, int64_t edges) {
    dots(mine, rows.data(), edges, a.width, lanes, s.get());
    T *x = s.get(), *b = edge_bias.get();
    const int64_t end = edges * lanes.stride;
    if (bias.values) {
      bias.expand(id, edges, lanes, b);
      for (int64_t i = 0; i < end; i += VL<T>)
        store<T>(x + i, multiply_add(load(x + i), fill(scale), load(b + i)));
    } else {
      for (int64_t i = 0; i < end; i += VL<T>) store<T>(x + i, load(x + i) * scale);
    }
    std::fill(x + end, x + lanes.lines(edges) * lanes.width, -std::numeric_limits<T>::infinity());
  }

  // The costs and dropout factors of a block of edges.
  template <class Id> void prepare(const Id& id, int64_t edges) {
    if (cost.values) {
      cost.expand(id, edges, lanes, edge_cost.get());
      // What an earlier block left where a line holds no edge may be infinite: 0 x inf is NaN.
      T* c = edge_cost.get();
      std::fill(c + edges * lanes.stride, c + lanes.lines(edges) * lanes.width, T(0));
    }
    if (a.dropout <= 0) return;
    const uint64_t start = mix(uint64_t(a.seed));
    const float rate = float(a.dropout);
    const T kept = T(1) / T(1.0 - a.dropout);
    for (int64_t e = 0; e < edges; ++e) {
      const uint64_t counter = start + uint64_t(id(e)) * uint64_t(all) + uint64_t(first);
      T* to = keep.get() + e * lanes.stride;
      for (int64_t l = 0; l < lanes.count; ++l) {
        const float uniform = float(int32_t(mix(counter + uint64_t(l)) >> 40)) * 0x1p-24f;
        to[l] = uniform >= rate ? kept : T(0);
      }
    }
  }

  // From s, and dP without cost in t: p times the dropout factor in s, dS in t. lse, delta and
  // grad_total advance by `step` numbers per line: 0 when all edges share them.
  void differentiate(
      const T* lse, const T* delta, const T* grad_total, int64_t step, int64_t edges) {
    const bool c = cost.values, m = a.dropout > 0;
    if (c && m) differentiate_<true, true>(lse, delta, grad_total, step, edges);
    else if (c) differentiate_<true, false>(lse, delta, grad_total, step, edges);
    else if (m) differentiate_<false, true>(lse, delta, grad_total, step, edges);
    else differentiate_<false, false>(lse, delta, grad_total, step, edges);
  }

  template <bool Cost, bool Keep>
  void differentiate_(
      const T* lse, const T* delta, const T* grad_total, int64_t step, int64_t edges) {
    T *x = s.get(), *y = t.get(), *c = edge_cost.get(), *m = keep.get();
    for (int64_t r = 0, i = 0; r < lanes.lines(edges); ++r) {
      for (int64_t w = 0; w < lanes.width; w += VL<T>, i += VL<T>) {
        const int64_t j = r * step + w;
        Vector<T> p = exponential<T>(load(x + i) - load(lse + j)), dp = load(y + i);
        if constexpr (Cost) dp = multiply_add(load(grad_total + j), load(c + i), dp);
        if constexpr (Keep) dp *= load(m + i);
        store<T>(y + i, p * (dp - load(delta + j)));
        if constexpr (Keep) p *= load(m + i);
        store<T>(x + i, p);
      }
    }
  }

  void times(T* x, T factor, int64_t edges) const {
    for (int64_t i = 0; i < edges * lanes.stride; i += VL<T>) store<T>(x + i, load(x + i) * factor);
  }
};

}  // namespace graphcolumns
