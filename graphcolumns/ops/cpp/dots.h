// Dot products of lanes: s[e, l] = sum_d a[l, d] rows[e][l, d].
#pragma once

#include "lanes.h"

namespace graphcolumns {

// One lane of any width, always added in the same order.
template <class T> inline T dot(const T* a, const T* b, int64_t width) {
  Vector<T> sum{};
  int64_t d = 0;
  for (; d + VL<T> <= width; d += VL<T>) sum = multiply_add(load(a + d), load(b + d), sum);
  T rest = 0;
  for (; d < width; ++d) rest = multiply_add(a[d], b[d], rest);
  return sum_of<T>(sum) + rest;
}

// The products of VL lanes of D numbers, added within lanes: number i is the product of lane i.
// `a(n)` and `b(n)` give vector n: of all numbers in a row (D < VL), or the first of lane n.
template <class T, int D> struct Tile {
  static constexpr int group = D < VL<T> ? D : VL<T>;  // numbers of a lane in one vector
  static constexpr int lanes = VL<T> / group;          // lanes in one vector
  static constexpr int quarters = group / QL<T>;       // of a lane in one vector
  static constexpr int step = D < VL<T> ? VL<T> : D;   // from a(n) to a(n + 1)

  template <class A, class B> static inline Vector<T> product(const A& a, const B& b, int n) {
    Vector<T> sum = a(n, 0) * b(n, 0);
    for (int d = VL<T>; d < D; d += VL<T>) sum = multiply_add(a(n, d), b(n, d), sum);
    return sum;
  }

  // Sums within quarters; quarter c, place j belongs to vector n + j.
  template <class A, class B> static inline Vector<T> quad(const A& a, const B& b, int n) {
    const Vector<T> low = add_halves<T, Interleave>(product(a, b, n), product(a, b, n + 1));
    if constexpr (QL<T> == 2) return low;
    else {
      const Vector<T> high = add_halves<T, Interleave>(product(a, b, n + 2), product(a, b, n + 3));
      return add_halves<T, InterleavePairs>(low, high);
    }
  }

  template <class A, class B> static inline Vector<T> sums(const A& a, const B& b) {
    constexpr int q = QL<T>;
    if constexpr (quarters == 1) return quad(a, b, 0);
    else if constexpr (quarters == 2)
      return add_halves<T, Quarters>(quad(a, b, 0), quad(a, b, q));
    else {
      const Vector<T> low = add_halves<T, Quarters>(quad(a, b, 0), quad(a, b, q));
      const Vector<T> high =
          add_halves<T, Quarters>(quad(a, b, 2 * q), quad(a, b, 3 * q));
      return add_halves<T, Quarters>(low, high);
    }
  }

  // Where the sum of lane i stands in the result of `sums`.
  struct Order {
    static constexpr int at(int i) {
      constexpr int q = QL<T>;
      const int vector = i / lanes, lane = i % lanes;
      return (vector / q * lanes + lane) * q + vector % q;
    }
  };

  template <class A, class B> static inline Vector<T> dots(const A& a, const B& b) {
    const Vector<T> x = sums(a, b);
    if constexpr (lanes == 1) return x;
    else return shuffle<T, Order>(x, x);
  }
};

template <class T> using Dots = void (*)(const T*, const T* const*, int64_t, int64_t, Lanes<T>, T*);

template <class T> void dots_of_any_width(
    const T* a, const T* const* rows, int64_t edges, int64_t width, Lanes<T> lanes, T* s) {
  for (int64_t e = 0; e < edges; ++e)
    for (int64_t l = 0; l < lanes.count; ++l)
      s[e * lanes.stride + l] = dot(a + l * width, rows[e] + l * width, width);
}

// VL lanes of all rows. What belongs to `a` stays in registers where they suffice.
template <class T, int D> inline void dots_of_lanes(
    const T* a, const T* const* rows, int64_t edges, int64_t offset, int64_t stride, T* s) {
  using Tile = Tile<T, D>;
  const auto compute = [&](const auto& mine) {
    for (int64_t e = 0; e < edges; ++e) {
      const T* row = rows[e] + offset;
      const auto theirs = [&](int n, int d) { return load(row + n * Tile::step + d); };
      store<T>(s + e * stride, Tile::dots(mine, theirs));
    }
  };
  if constexpr (D <= VL<T>) {
    Vector<T> kept[Tile::group];
    for (int n = 0; n < Tile::group; ++n) kept[n] = load(a + offset + n * Tile::step);
    compute([&](int n, int) { return kept[n]; });
  } else compute([&](int n, int d) { return load(a + offset + n * Tile::step + d); });
}

// Fewer than VL lanes, a divisor of VL: one tile holds those of several edges.
template <class T, int D, int Count> inline void dots_of_edges(
    const T* a, const T* const* rows, int64_t edges, T* s) {
  using Tile = Tile<T, D>;
  constexpr int together = VL<T> / Count, per_edge = Tile::group / together;  // edges, vectors
  if constexpr (per_edge > 0) {
    Vector<T> kept[per_edge];
    for (int n = 0; n < per_edge; ++n) kept[n] = load(a + n * Tile::step);
    const auto mine = [&](int n, int d) {
      return D <= VL<T> ? kept[n % per_edge] : load(a + n % per_edge * Tile::step + d);
    };
    for (int64_t e = 0; e < edges; e += together) {
      const T* row[together];
      for (int i = 0; i < together; ++i) row[i] = rows[std::min(e + i, edges - 1)];
      const auto theirs = [&](int n, int d) {
        return load(row[n / per_edge] + n % per_edge * Tile::step + d);
      };
      store<T>(s + e * Count, Tile::dots(mine, theirs));
    }
  }
}

template <class T, int D> void dots_of(
    const T* a, const T* const* rows, int64_t edges, int64_t, Lanes<T> lanes, T* s) {
  const int64_t count = lanes.count, stride = lanes.stride;
  if (count >= VL<T>) {
    int64_t l = 0;
    for (; l + VL<T> <= count; l += VL<T>)
      dots_of_lanes<T, D>(a, rows, edges, l * D, stride, s + l);
    for (; l < count; ++l)
      for (int64_t e = 0; e < edges; ++e)
        s[e * stride + l] = dot(a + l * D, rows[e] + l * D, D);
  } else if (stride != count || count * D < VL<T>) {
    dots_of_any_width(a, rows, edges, D, lanes, s);
  } else if (count == 1) dots_of_edges<T, D, 1>(a, rows, edges, s);
  else if (count == 2) dots_of_edges<T, D, 2>(a, rows, edges, s);
  else if (count == 4) dots_of_edges<T, D, VL<T> < 4 ? VL<T> : 4>(a, rows, edges, s);
  else dots_of_edges<T, D, VL<T> < 8 ? VL<T> : 8>(a, rows, edges, s);
}

template <class T> void dots_of_numbers(  // rows of width 1
    const T* a, const T* const* rows, int64_t edges, int64_t, Lanes<T> lanes, T* s) {
  for (int64_t e = 0; e < edges; ++e, s += lanes.stride) {
    int64_t l = 0;
    for (; l + VL<T> <= lanes.count; l += VL<T>) store<T>(s + l, load(a + l) * load(rows[e] + l));
    for (; l < lanes.count; ++l) s[l] = a[l] * rows[e][l];
  }
}

template <class T> Dots<T> dots_for(int64_t width) {
  switch (width) {
    case 1: return dots_of_numbers<T>;
    case 4: return dots_of<T, 4>;
    case 8: return dots_of<T, 8>;
    case 16: return dots_of<T, 16>;
    case 32: return dots_of<T, 32>;
    case 64: return dots_of<T, 64>;
    default: return dots_of_any_width<T>;
  }
}

}  // namespace graphcolumns
