// The signed sum along edges for one CPU: y_i = sum_j w_ij x_j over targets (CSR), the gradient of
// x over sources (CSC), that of the weights over targets. The mathematics stands in reference.py;
// cpp.py calls what is at the end of this file.

#include <vector>

#include "../cpp/dots.h"
#include "../cpp/shares.h"
#include "../cpp/sums.h"

namespace graphcolumns {

struct EdgeLinear {  // the same order of fields as in cpp.py
  const void *x, *weight, *grad;     // [M, B, H, D], [E, H], [N, B, H, D]
  void *out, *grad_weight;           // [N or M, B, H, D], [E, H]
  const int64_t *pointers, *edge;    // rows of `out` [rows + 1]; edge ids [E], or null: in order
  const int32_t *other;              // the other end of every edge [E]
  int64_t rows, batch, heads, width;
};

template <class T> struct Slice {
  const EdgeLinear& a;
  const int64_t first, all;
  const Lanes<T> lanes;
  const int64_t block;
  std::vector<const T*> rows;
  std::vector<T> w;

  Slice(const EdgeLinear& a, int64_t batch, int64_t batches, int64_t longest)
      : a(a),
        first(batch * a.heads),
        all(a.batch * a.heads),
        lanes(batches * a.heads),
        block(std::min(longest, std::max<int64_t>(VL<T>, 4096 / lanes.stride))),
        rows(block),
        w(lanes.lines(block) * lanes.width + VL<T>) {}

  const T* row(const void* base, int64_t i) const {
    return static_cast<const T*>(base) + (i * all + first) * a.width;
  }
};

template <class T, class F>
void over_slices(const EdgeLinear& a, int64_t begin, int64_t end, const F& f) {
  const int64_t slice = slice_of(a.batch, a.heads), most = longest(a.pointers, begin, end);
  for (int64_t b = 0; b < a.batch; b += slice) {
    Slice<T> work(a, b, std::min(slice, a.batch - b), most);
    f(work, b == 0);
  }
}

// Rows of `x` summed into rows of `out`: the forward pass, and the gradient of x on the reverse.
template <class T> void sum_rows(const EdgeLinear& a) {
  const Sums<T> sums = sums_for<T>(a.width);
  const EdgeValues<T> weight{static_cast<const T*>(a.weight), a.heads};
  over_rows(a.pointers, a.rows, a.batch * a.heads * a.width, [&](int64_t begin, int64_t end) {
    over_slices<T>(a, begin, end, [&](Slice<T>& work, bool) {
      for (int64_t i = begin; i < end; ++i) {
        T* out = const_cast<T*>(work.row(a.out, i));
        const int64_t last = a.pointers[i + 1];
        if (a.pointers[i] == last) std::fill_n(out, work.lanes.count * a.width, T(0));
        for (int64_t at = a.pointers[i]; at < last; at += work.block) {
          const int64_t edges = std::min(work.block, last - at);
          const auto id = [&](int64_t e) { return a.edge ? a.edge[at + e] : at + e; };
          for (int64_t e = 0; e < edges; ++e) work.rows[e] = work.row(a.x, a.other[at + e]);
          weight.expand(id, edges, work.lanes, work.w.data());
          const bool add = at != a.pointers[i];
          sums(work.rows.data(), work.w.data(), edges, a.width, work.lanes, add, out);
        }
      }
    });
  });
}

// grad_weight[e, h] = sum_b grad[i] . x[j]
template <class T> void weight_gradient(const EdgeLinear& a) {
  const Dots<T> dots = dots_for<T>(a.width);
  over_rows(a.pointers, a.rows, a.batch * a.heads * a.width, [&](int64_t begin, int64_t end) {
    over_slices<T>(a, begin, end, [&](Slice<T>& work, bool first) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t last = a.pointers[i + 1];
        for (int64_t at = a.pointers[i]; at < last; at += work.block) {
          const int64_t edges = std::min(work.block, last - at);
          for (int64_t e = 0; e < edges; ++e) work.rows[e] = work.row(a.x, a.other[at + e]);
          dots(work.row(a.grad, i), work.rows.data(), edges, a.width, work.lanes, work.w.data());
          T* to = static_cast<T*>(a.grad_weight) + at * a.heads;
          add_lanes(work.w.data(), edges, work.lanes, a.heads, !first, to);
        }
      }
    });
  });
}

}  // namespace graphcolumns

using graphcolumns::EdgeLinear;

EXPORT int edge_linear_sum_rows_float32(const EdgeLinear* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::sum_rows<float>(*a); });
}
EXPORT int edge_linear_sum_rows_float64(const EdgeLinear* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::sum_rows<double>(*a); });
}
EXPORT int edge_linear_weight_gradient_float32(const EdgeLinear* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::weight_gradient<float>(*a); });
}
EXPORT int edge_linear_weight_gradient_float64(const EdgeLinear* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::weight_gradient<double>(*a); });
}
