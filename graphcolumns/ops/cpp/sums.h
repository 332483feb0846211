// Weighted sums of rows: out[l, d] (+)= sum_e w[e, l] rows[e][l, d].
#pragma once

#include "lanes.h"

namespace graphcolumns {

template <class T>
using Sums = void (*)(const T* const*, const T*, int64_t, int64_t, Lanes<T>, bool, T*);

template <class T, int D> struct Repeat {  // the weights of the lanes in one vector
  static constexpr int at(int i) { return i / D; }
};

// `Many` vectors from `offset` on, kept in registers over all edges. D < 0: all of one lane, whose
// weight stands at w; else vector u belongs to the lane(s) from u * VL / D on.
template <class T, int D, int Many> inline void sum_vectors(
    const T* const* rows, const T* w, int64_t edges, int64_t offset, int64_t stride, bool add,
    T* out) {
  Vector<T> sum[Many];
  for (int u = 0; u < Many; ++u) sum[u] = add ? load(out + offset + u * VL<T>) : Vector<T>{};
  for (int64_t e = 0; e < edges; ++e, w += stride) {
    const T* row = rows[e] + offset;
    for (int u = 0; u < Many; ++u) {
      Vector<T> weights;
      if constexpr (D < 0) weights = fill(*w);
      else if constexpr (D >= VL<T>) weights = fill(w[u * VL<T> / D]);
      else {
        weights = load(w + u * (VL<T> / D));
        weights = shuffle<T, Repeat<T, D>>(weights, weights);
      }
      sum[u] = multiply_add(weights, load(row + u * VL<T>), sum[u]);
    }
  }
  for (int u = 0; u < Many; ++u) store<T>(out + offset + u * VL<T>, sum[u]);
}

template <class T> inline void sum_numbers(
    const T* const* rows, const T* w, int64_t edges, int64_t begin, int64_t end, int64_t stride,
    bool add, T* out) {
  for (int64_t d = begin; d < end; ++d) {
    T sum = add ? out[d] : T(0);
    for (int64_t e = 0; e < edges; ++e) sum = multiply_add(w[e * stride], rows[e][d], sum);
    out[d] = sum;
  }
}

template <class T> void sums_of_any_width(
    const T* const* rows, const T* w, int64_t edges, int64_t width, Lanes<T> lanes, bool add,
    T* out) {
  for (int64_t l = 0; l < lanes.count; ++l) {
    int64_t d = l * width;
    const int64_t end = d + width;
    for (; d + 4 * VL<T> <= end; d += 4 * VL<T>)
      sum_vectors<T, -1, 4>(rows, w + l, edges, d, lanes.stride, add, out);
    for (; d + VL<T> <= end; d += VL<T>)
      sum_vectors<T, -1, 1>(rows, w + l, edges, d, lanes.stride, add, out);
    sum_numbers(rows, w + l, edges, d, end, lanes.stride, add, out);
  }
}

template <class T, int D> void sums_of(
    const T* const* rows, const T* w, int64_t edges, int64_t, Lanes<T> lanes, bool add, T* out) {
  const int64_t end = lanes.count * D, stride = lanes.stride;
  int64_t d = 0;
  for (; d + 8 * VL<T> <= end && 8 * VL<T> % D == 0; d += 8 * VL<T>)
    sum_vectors<T, D, 8>(rows, w + d / D, edges, d, stride, add, out);
  for (; d + 4 * VL<T> <= end && 4 * VL<T> % D == 0; d += 4 * VL<T>)
    sum_vectors<T, D, 4>(rows, w + d / D, edges, d, stride, add, out);
  constexpr int least = D < VL<T> ? 1 : D / VL<T>;  // vectors that hold whole lanes
  for (; d + least * VL<T> <= end; d += least * VL<T>)
    sum_vectors<T, D, least>(rows, w + d / D, edges, d, stride, add, out);
  for (; d < end; d += D) sum_numbers(rows, w + d / D, edges, d, d + D, stride, add, out);
}

template <class T> Sums<T> sums_for(int64_t width) {
  switch (width) {
    case 1: return sums_of<T, 1>;
    case 4: return sums_of<T, 4>;
    case 8: return sums_of<T, 8>;
    case 16: return sums_of<T, 16>;
    case 32: return sums_of<T, 32>;
    case 64: return sums_of<T, 64>;
    default: return sums_of_any_width<T>;
  }
}

}  // namespace graphcolumns
