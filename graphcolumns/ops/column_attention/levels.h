// Biases of one column, counted from the highest of them.
#pragma once

#include <algorithm>
#include <limits>

#include "../cpp/vectors.h"

namespace graphcolumns {

template <int Distance> struct Across {
  static constexpr int at(int i) { return i ^ Distance; }
};

// Combines the numbers of a vector that lie a multiple of `stride` apart; all of them get the result.
template <class T, int Distance = VL<T> / 2, class Op>
inline Vector<T> fold(Vector<T> x, int64_t stride, const Op& op) {
  if constexpr (Distance == 0) return x;
  else {
    if (Distance < stride) return x;
    return fold<T, Distance / 2>(op(x, shuffle<T, Across<Distance>>(x, x)), stride, op);
  }
}

template <class T> constexpr T CLOSED = -std::numeric_limits<T>::infinity();

template <class T> inline Vector<T> larger(Vector<T> x, Vector<T> y) { return x > y ? x : y; }

// Reads biases [edges, heads], leaves the highest of each head in `level` (0 where it is infinite)
// and what is above it in `to`. Tells whether an edge is closed. A NaN stays one.
template <class T>
bool subtract_highest(const T* from, int64_t edges, int64_t heads, T* level, T* to) {
  for (int64_t h = 0; h < heads; ++h) level[h] = CLOSED<T>;
  bool closed = false;
  for (int64_t e = 0; e < edges * heads; e += heads)
    for (int64_t h = 0; h < heads; ++h) {
      level[h] = from[e + h] > level[h] ? from[e + h] : level[h];
      closed |= from[e + h] == CLOSED<T>;
    }
  for (int64_t h = 0; h < heads; ++h) level[h] = level[h] - level[h] == T(0) ? level[h] : T(0);
  for (int64_t e = 0; e < edges * heads; e += heads)
    for (int64_t h = 0; h < heads; ++h) to[e + h] = from[e + h] - level[h];
  return closed;
}

// The same where vectors hold whole edges: number i of each vector is of head i % heads.
template <class T>
bool subtract_highest_by_vectors(
    const T* from, int64_t edges, int64_t heads, T* level, T* to) {
  const int64_t count = edges * heads, whole = count - count % VL<T>;
  Vector<T> most = fill(CLOSED<T>), rest = most;
  Bits<T> closed{};
  for (int64_t i = 0; i < whole; i += VL<T>) {
    const Vector<T> x = load(from + i);
    most = larger<T>(x, most), closed |= x == CLOSED<T>;
  }
  if (whole < count) {
    Vector<T> padded{};
    std::memcpy(&rest, from + whole, (count - whole) * sizeof(T));
    std::memcpy(&padded, from + whole, (count - whole) * sizeof(T));
    most = larger<T>(rest, most), closed |= padded == CLOSED<T>;
  }
  most = fold<T>(most, heads, larger<T>);
  most = most - most == T(0) ? most : Vector<T>{};
  for (int64_t i = 0; i < whole; i += VL<T>) store<T>(to + i, load(from + i) - most);
  if (whole < count) {
    rest -= most;
    std::memcpy(to + whole, &rest, (count - whole) * sizeof(T));
  }
  std::memcpy(level, &most, heads * sizeof(T));
  const Vector<T> found = closed ? fill<T>(1) : Vector<T>{};
  return fold<T>(found, 1, larger<T>)[0] != T(0);
}

template <class T>
bool centre(const T* from, int64_t edges, int64_t heads, T* level, T* to) {
  if (VL<T> % heads == 0) return subtract_highest_by_vectors(from, edges, heads, level, to);
  return subtract_highest(from, edges, heads, level, to);
}

}  // namespace graphcolumns
