// One linear map per column for one CPU: y_n = x_n W_n + b_n, the gradient dx_n = dy_n W_n^T of its
// input, and the gradient of the weights over the steps of a recurrence. The mathematics stands in
// reference.py; cpp.py calls what is at the end of this file.
//
// With few inputs per column the weights are read once and do little: what counts is that they
// stream through a core while the sums stay in registers. A matrix library takes them apart first.

#include <vector>

#include "../cpp/dots.h"
#include "../cpp/products.h"
#include "../cpp/shares.h"

namespace graphcolumns {

struct Batches {  // one tensor [N, B, C]; numbers of a row are contiguous
  void* data;
  int64_t column, row;  // numbers from one column, or one row, to the next
};

struct UntiedLinear {     // the same order of fields as in cpp.py
  const Batches *x, *y;   // of every step: [N, B, Cin], [N, B, Cout]
  void *weight, *bias;    // [N, Cin, Cout], [N, Cout] or null
  int64_t steps, columns, batch, in, out;
};

template <class T> constexpr T ONE = 1;

template <class T> inline Matrix<T> of_column(const Batches& all, int64_t n) {
  return {static_cast<T*>(all.data) + n * all.column, all.row};
}

template <class T> inline Matrix<T> weight_of(const UntiedLinear& a, int64_t n) {
  return {static_cast<T*>(a.weight) + n * a.in * a.out, a.out};
}

template <class T> inline T* bias_of(const UntiedLinear& a, int64_t n) {
  return a.bias ? static_cast<T*>(a.bias) + n * a.out : nullptr;
}

// Of one column: to read a number of W takes as long as to use it a few times.
inline int64_t work_of(const UntiedLinear& a) { return a.in * a.out * (a.steps * a.batch + 4); }

// y = x W + b
template <class T, class Shape> void forward_by(const UntiedLinear& a) {
  over_equal(a.columns, work_of(a), [&](int64_t begin, int64_t end) {
    Tail<T> tail(a.batch, a.in);
    for (int64_t n = begin; n < end; ++n) {
      const Matrix<T> x = of_column<T>(a.x[0], n), y = of_column<T>(a.y[0], n);
      multiply<T, Shape>(
          x, 1, weight_of<T>(a, n), bias_of<T>(a, n), a.batch, a.in, a.out, y, tail);
    }
  });
}

// The rows of all steps of one column, brought together where there are several steps.
template <class T> struct Joined {
  Numbers<T> rows;

  Matrix<T> of(const Batches* all, int64_t steps, int64_t n, int64_t batch, int64_t width) {
    if (steps == 1) return of_column<T>(all[0], n);
    rows.resize(steps * batch * width);
    T* to = rows.data();
    for (int64_t t = 0; t < steps; ++t) {
      const Matrix<T> step = of_column<T>(all[t], n);
      const bool whole = step.stride == width;
      const int64_t pieces = whole ? 1 : batch, size = whole ? batch * width : width;
      for (int64_t b = 0; b < pieces; ++b, to += size) std::copy_n(step.row(b), size, to);
    }
    return {rows.data(), width};
  }
};

// dW = sum_t x_t^T dy_t, every number of which is written once; db = sum_t sum_b dy_tb, as if one
// more channel of x were always 1.
template <class T, class Shape> void gradient_by(const UntiedLinear& a) {
  const int64_t terms = a.steps * a.batch;
  const Matrix<T> ones{const_cast<T*>(&ONE<T>), 0};
  over_equal(a.columns, work_of(a), [&](int64_t begin, int64_t end) {
    Joined<T> xs, ys;
    Tail<T> tail(std::max<int64_t>(a.in, 1), terms);
    for (int64_t n = begin; n < end; ++n) {
      const Matrix<T> x = xs.of(a.x, a.steps, n, a.batch, a.in);
      const Matrix<T> y = ys.of(a.y, a.steps, n, a.batch, a.out);
      const Matrix<T> turned{x.data, 1};  // row i is channel i, its terms are `x.stride` apart
      multiply<T, Shape>(
          turned, x.stride, y, nullptr, a.in, terms, a.out, weight_of<T>(a, n), tail);
      if (T* sum = bias_of<T>(a, n))
        multiply<T, Tall>(ones, 0, y, nullptr, 1, terms, a.out, {sum, a.out}, tail);
    }
  });
}

// dx = dy W^T of a batch of one: the dots of dy with the rows of W.
template <class T> struct ByDots {
  const Dots<T> dots;
  std::vector<const T*> rows;
  Numbers<T> sums;

  // Rows of many vectors keep a core busy by themselves; of shorter ones several are taken at once.
  explicit ByDots(const UntiedLinear& a)
      : dots(a.out > 2 * VL<T> ? dots_of_any_width<T> : dots_for<T>(a.out)),
        rows(a.in),
        sums(a.in + VL<T>) {}

  void operator()(const UntiedLinear& a, Matrix<T> weight, Matrix<T> y, Matrix<T> x) {
    for (int64_t i = 0; i < a.in; ++i) rows[i] = weight.row(i);
    dots(y.data, rows.data(), a.in, a.out, Lanes<T>(1), sums.data());
    std::copy_n(sums.data(), a.in, x.data);
  }
};

// dx = dy W^T with W^T written out, as many of its columns at a time as a vector holds: what is read
// of the weights is used before the next is read.
template <class T> struct ByTurning {
  Numbers<T> turned;
  Tail<T> tail;

  explicit ByTurning(const UntiedLinear& a) : turned(a.out * VL<T>), tail(a.batch, a.out) {}

  void operator()(const UntiedLinear& a, Matrix<T> weight, Matrix<T> y, Matrix<T> x) {
    const Matrix<T> right{turned.data(), VL<T>};
    for (int64_t i = 0; i < a.in; i += VL<T>) {
      const int64_t width = std::min<int64_t>(VL<T>, a.in - i);
      turn(weight.from(i), width, a.out, right);
      prefetch(weight.row(i + width), VL<T> * a.out);
      multiply<T, Tall>(y, 1, right, nullptr, a.batch, a.out, width, {x.data + i, x.stride}, tail);
    }
  }
};

template <class T, class Way> void transposed_by(const UntiedLinear& a) {
  over_equal(a.columns, work_of(a), [&](int64_t begin, int64_t end) {
    Way way(a);
    for (int64_t n = begin; n < end; ++n)
      way(a, weight_of<T>(a, n), of_column<T>(a.y[0], n), of_column<T>(a.x[0], n));
  });
}

// Up to so many rows per number of W, W itself is what takes the time. (AMD EPYC, two threads, N=4096,
// Cin=64, Cout=64 and 128: wide blocks are 1.1 to 1.4 times as fast as tall ones with 16 rows, 0.9 to
// 1.2 times with 32.)
constexpr int64_t FEW = 16;

template <class T> void forward(const UntiedLinear& a) {
  a.batch <= FEW ? forward_by<T, Wide>(a) : forward_by<T, Tall>(a);
}

template <class T> void gradient(const UntiedLinear& a) {
  a.steps * a.batch <= FEW ? gradient_by<T, Wide>(a) : gradient_by<T, Tall>(a);
}

template <class T> void transposed(const UntiedLinear& a) {
  a.batch == 1 ? transposed_by<T, ByDots<T>>(a) : transposed_by<T, ByTurning<T>>(a);
}

}  // namespace graphcolumns

using graphcolumns::UntiedLinear;

#define KERNEL(NAME, TYPE, TYPE_NAME)                                               \
  EXPORT int untied_linear_##NAME##_##TYPE_NAME(const UntiedLinear* a) {            \
    return graphcolumns::without_exceptions([&] { graphcolumns::NAME<TYPE>(*a); }); \
  }
KERNEL(forward, float, float32)
KERNEL(forward, double, float64)
KERNEL(transposed, float, float32)
KERNEL(transposed, double, float64)
KERNEL(gradient, float, float32)
KERNEL(gradient, double, float64)
