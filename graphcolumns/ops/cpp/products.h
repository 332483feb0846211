// Products of small matrices whose sums stay in registers: out[r, u] = start[u] + sum_k a(r, k) b[k, u].
#pragma once

#include <algorithm>
#include <vector>

#include "vectors.h"

namespace graphcolumns {

// How many sums there are at once: rows, and vectors beside each other.
template <int Rows, int Vectors> struct Block {
  static constexpr int rows = Rows, vectors = Vectors;
};
#if VECTOR_BYTES == 64 || defined(__aarch64__)
using Wide = Block<4, 6>;  // long pieces of a row of `b`, for matrices that come from memory;
using Tall = Block<8, 3>;  // more sums per number that is loaded; both fill 24 of 32 registers
#else
using Wide = Block<2, 4>;  // 8 of 16
using Tall = Block<8, 1>;
#endif

template <class T> struct Matrix {
  T* data;
  int64_t stride;  // from one row to the next; numbers of a row are contiguous

  T* row(int64_t i) const { return data + i * stride; }
  Matrix from(int64_t i) const { return {row(i), stride}; }
};

// Rows x Vectors sums at once; a(r, k) stands at a.row(r) + k * step.
template <class T, int Rows, int Vectors> inline void tile(
    Matrix<T> a, int64_t step, Matrix<T> b, const T* start, int64_t terms, Matrix<T> out) {
  Vector<T> sum[Rows][Vectors], right[Vectors];
  for (int u = 0; u < Vectors; ++u) {
    const Vector<T> first = start ? load(start + u * VL<T>) : Vector<T>{};
    for (int r = 0; r < Rows; ++r) sum[r][u] = first;
  }
  for (int64_t k = 0; k < terms; ++k) {
    for (int u = 0; u < Vectors; ++u) right[u] = load(b.row(k) + u * VL<T>);
    for (int r = 0; r < Rows; ++r) {
      const Vector<T> left = fill(a.row(r)[k * step]);
      for (int u = 0; u < Vectors; ++u) sum[r][u] = multiply_add(left, right[u], sum[r][u]);
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int u = 0; u < Vectors; ++u) store<T>(out.row(r) + u * VL<T>, sum[r][u]);
}

// Fewer rows than a tile may have: the tile that has so many.
template <class T, int Rows, int Vectors> inline void tile_of(
    int64_t rows, Matrix<T> a, int64_t step, Matrix<T> b, const T* start, int64_t terms,
    Matrix<T> out) {
  if (rows == Rows) tile<T, Rows, Vectors>(a, step, b, start, terms, out);
  else if constexpr (Rows > 1)
    tile_of<T, Rows - 1, Vectors>(rows, a, step, b, start, terms, out);
}

template <class T, int Rows, int Vectors> void panel(
    Matrix<T> a, int64_t step, Matrix<T> b, const T* start, int64_t rows, int64_t terms,
    Matrix<T> out) {
  for (int64_t r = 0; r < rows; r += Rows)
    tile_of<T, Rows, Vectors>(
        std::min<int64_t>(Rows, rows - r), a.from(r), step, b, start, terms, out.from(r));
}

// The last columns of `b`, fewer than a vector holds, with zeros behind them; and their sums.
template <class T> struct Tail {
  Numbers<T> right, sums;

  Tail(int64_t rows, int64_t terms) : right((terms + 1) * VL<T>), sums(rows * VL<T>) {}

  void multiply(
      Matrix<T> a, int64_t step, Matrix<T> b, const T* start, int64_t rows, int64_t terms,
      int64_t width, Matrix<T> out) {
    T* first = right.data();
    for (int64_t k = 0; k < terms; ++k) std::copy_n(b.row(k), width, first + (k + 1) * VL<T>);
    if (start) std::copy_n(start, width, first);
    const Matrix<T> padded{first + VL<T>, VL<T>}, to{sums.data(), VL<T>};
    panel<T, Tall::rows, 1>(a, step, padded, start ? first : nullptr, rows, terms, to);
    for (int64_t r = 0; r < rows; ++r) std::copy_n(to.row(r), width, out.row(r));
  }
};

// All columns, Shape::vectors of vectors at a time, the rest in fewer. No sum depends on how many.
template <class T, class Shape> void multiply(
    Matrix<T> a, int64_t step, Matrix<T> b, const T* start, int64_t rows, int64_t terms,
    int64_t width, Matrix<T> out, Tail<T>& tail) {
  int64_t u = 0;
  const auto at = [&](Matrix<T> m) { return Matrix<T>{m.data + u, m.stride}; };
  const auto panels = [&](auto vectors) {
    if constexpr (vectors <= Shape::vectors)
      for (; u + vectors * VL<T> <= width; u += vectors * VL<T>)
        panel<T, Shape::rows, vectors>(
            a, step, at(b), start ? start + u : nullptr, rows, terms, at(out));
  };
  panels(std::integral_constant<int, 6>{});
  panels(std::integral_constant<int, 4>{});
  panels(std::integral_constant<int, 3>{});
  panels(std::integral_constant<int, 2>{});
  panels(std::integral_constant<int, 1>{});
  if (u < width)
    tail.multiply(a, step, at(b), start ? start + u : nullptr, rows, terms, width - u, at(out));
}

// Asks for numbers that come next, while there is work to do. Addresses need not exist.
template <class T> inline void prefetch(const T* from, int64_t count) {
  const char* first = reinterpret_cast<const char*>(from);
  for (int64_t at = 0; at < count * int64_t(sizeof(T)); at += 64) __builtin_prefetch(first + at);
}

// ---- The transposed of a matrix, VL x VL numbers at a time.

// QL rows, turned within quarters: then number j of row r stands in vector j.
template <class T> inline void turn_within_quarters(Vector<T>* v) {
  const Vector<T> low = shuffle<T, Interleave<T, 0>>(v[0], v[1]);
  const Vector<T> high = shuffle<T, Interleave<T, 1>>(v[0], v[1]);
  if constexpr (QL<T> == 2) v[0] = low, v[1] = high;
  else {
    const Vector<T> next_low = shuffle<T, Interleave<T, 0>>(v[2], v[3]);
    const Vector<T> next_high = shuffle<T, Interleave<T, 1>>(v[2], v[3]);
    v[0] = shuffle<T, InterleavePairs<T, 0>>(low, next_low);
    v[1] = shuffle<T, InterleavePairs<T, 1>>(low, next_low);
    v[2] = shuffle<T, InterleavePairs<T, 0>>(high, next_high);
    v[3] = shuffle<T, InterleavePairs<T, 1>>(high, next_high);
  }
}

// The even quarters of two rows beside each other, and the odd ones.
template <class T> inline void part_quarters(Vector<T>& a, Vector<T>& b) {
  const Vector<T> even = shuffle<T, Quarters<T, 0>>(a, b);
  b = shuffle<T, Quarters<T, 1>>(a, b);
  a = even;
}

template <class T> inline void turn_square(const T* from, int64_t stride, T* to, int64_t to_stride) {
  constexpr int q = QL<T>, quarters = VL<T> / q;
  Vector<T> v[VL<T>];
  for (int r = 0; r < VL<T>; ++r) v[r] = load(from + r * stride);
  for (int r = 0; r < VL<T>; r += q) turn_within_quarters<T>(v + r);
  for (int j = 0; j < q; ++j) {
    if constexpr (quarters == 2) part_quarters<T>(v[j], v[q + j]);
    if constexpr (quarters == 4) {
      part_quarters<T>(v[j], v[q + j]);
      part_quarters<T>(v[2 * q + j], v[3 * q + j]);
      part_quarters<T>(v[j], v[2 * q + j]);  // the even of the even: 0, and the odd of them: 2
      part_quarters<T>(v[q + j], v[3 * q + j]);
    }
  }
  for (int r = 0; r < VL<T>; ++r) store<T>(to + r * to_stride, v[r]);
}

template <class T> void turn(Matrix<T> a, int64_t rows, int64_t width, Matrix<T> to) {
  const int64_t tall = rows - rows % VL<T>, wide = width - width % VL<T>;
  for (int64_t r = 0; r < tall; r += VL<T>)
    for (int64_t u = 0; u < wide; u += VL<T>)
      turn_square(a.row(r) + u, a.stride, to.row(u) + r, to.stride);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t u = r < tall ? wide : 0; u < width; ++u) to.row(u)[r] = a.row(r)[u];
}

}  // namespace graphcolumns
