// A lane is one batch element and one head: rows of tensors are contiguous [lanes, width]. Here are
// the buffers [edges, lanes] of the kernels, and per-edge values brought into that form and back.
#pragma once

#include <algorithm>

#include "vectors.h"

namespace graphcolumns {

// A buffer holds `stride` numbers per edge, and at least VL more past its end. Fewer lanes than a
// vector holds are packed: several edges share one line of `width` numbers.
template <class T> struct Lanes {
  int64_t count;   // lanes of an edge
  int64_t stride;  // numbers from one edge to the next
  int64_t width;   // of a line, a multiple of VL

  explicit Lanes(int64_t lanes) : count(lanes) {
    const int64_t vectors = (lanes + VL<T> - 1) / VL<T>;
    const bool packed = lanes < VL<T> && VL<T> % lanes == 0;
    stride = packed ? lanes : vectors * VL<T>;
    width = vectors * VL<T>;
  }
  int64_t lines(int64_t edges) const { return (edges * stride + width - 1) / width; }
};

// The lanes of one row; calls of memcpy would cost more than the few numbers.
template <class T> inline void copy_lanes(const T* from, int64_t count, T* to) {
  if (count % VL<T> == 0)
    for (int64_t l = 0; l < count; l += VL<T>) store<T>(to + l, load(from + l));
  else if (count == 4) std::memcpy(to, from, 4 * sizeof(T));
  else
    for (int64_t l = 0; l < count; ++l) to[l] = from[l];
}

// The first `count` numbers of a vector, or all.
template <class T> inline void store_lanes(T* to, int64_t count, Vector<T> x) {
  if (count >= VL<T>) store<T>(to, x);
  else if (count == 4) std::memcpy(to, &x, 4 * sizeof(T));
  else
    for (int64_t l = 0; l < count; ++l) to[l] = x[l];
}

template <class T> struct EdgeValues {
  const T* values;   // [E] or [E, H], or null
  int64_t per_edge;  // 1 or H

  // As [edges, lanes], lane b H + h; `id(e)` names the edges.
  template <class Id> void expand(const Id& id, int64_t edges, Lanes<T> lanes, T* to) const {
    for (int64_t e = 0; e < edges; ++e) {
      const T* from = values + id(e) * per_edge;
      T* row = to + e * lanes.stride;
      if (per_edge == 1) std::fill(row, row + lanes.count, *from);
      else if (per_edge == 4) copies<4>(from, lanes.count, row);
      else if (per_edge == 8) copies<8>(from, lanes.count, row);
      else for (int64_t l = 0; l < lanes.count; l += per_edge) std::copy_n(from, per_edge, row + l);
    }
  }

  template <int H> static void copies(const T* from, int64_t lanes, T* to) {
    for (int64_t l = 0; l < lanes; l += H) std::memcpy(to + l, from, H * sizeof(T));
  }
};

// Sums [edges, lanes] over the lanes that share a value: the gradient of EdgeValues.
template <class T, int H> void add_heads(const T* from, int64_t lanes, bool add, T* to) {
  T sum[H];
  for (int h = 0; h < H; ++h) sum[h] = add ? to[h] : T(0);
  for (int64_t l = 0; l < lanes; l += H)
    for (int h = 0; h < H; ++h) sum[h] += from[l + h];
  for (int h = 0; h < H; ++h) to[h] = sum[h];
}

template <class T> void add_lanes(
    const T* from, int64_t edges, Lanes<T> lanes, int64_t per_edge, bool add, T* to) {
  for (int64_t e = 0; e < edges; ++e, from += lanes.stride, to += per_edge) {
    if (per_edge == 1 && lanes.count % VL<T> == 0) {
      Vector<T> sum{};
      for (int64_t l = 0; l < lanes.count; l += VL<T>) sum += load(from + l);
      *to = (add ? *to : T(0)) + sum_of<T>(sum);
    } else if (per_edge == 1) add_heads<T, 1>(from, lanes.count, add, to);
    else if (per_edge == 4) add_heads<T, 4>(from, lanes.count, add, to);
    else if (per_edge == 8) add_heads<T, 8>(from, lanes.count, add, to);
    else {
      if (!add) std::fill(to, to + per_edge, T(0));
      for (int64_t l = 0; l < lanes.count; l += per_edge)
        for (int64_t h = 0; h < per_edge; ++h) to[h] += from[l + h];
    }
  }
}

}  // namespace graphcolumns
