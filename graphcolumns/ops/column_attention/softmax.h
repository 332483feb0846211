// A softmax over the edges of one column, block by block.
#pragma once

#include "work.h"

namespace graphcolumns {

template <int Distance> struct Across {
  static constexpr int at(int i) { return i ^ Distance; }
};

// Combines the numbers of a line that belong to one lane; all of them get the result.
template <class T, int Distance = VL<T> / 2, class Op>
inline Vector<T> fold(Vector<T> x, int64_t stride, const Op& op) {
  if constexpr (Distance == 0) return x;
  else {
    if (Distance < stride) return x;
    return fold<T, Distance / 2>(op(x, shuffle<T, Across<Distance>>(x, x)), stride, op);
  }
}

// The state of an online softmax over the edges of one column.
template <class T> struct Softmax {
  Lanes<T> lanes;
  Buffer<T> highest, shift, factor, mass, total, logs;

  explicit Softmax(Lanes<T> lanes)
      : lanes(lanes),
        highest(lanes.width),
        shift(lanes.width),
        factor(lanes.width),
        mass(lanes.width),
        total(lanes.width),
        logs(lanes.width) {}

  void reset() {
    std::fill_n(highest.get(), lanes.width, -std::numeric_limits<T>::infinity());
    std::fill_n(mass.get(), lanes.width, T(0));
    std::fill_n(total.get(), lanes.width, T(0));
  }

  // Takes the scores of a block and leaves e^(s - shift) in their place; `factor` is what sums over
  // earlier blocks are to be multiplied with.
  void add(T* s, int64_t lines) {
    for (int64_t w = 0; w < lanes.width; w += VL<T>) {
      const Vector<T> before = load(highest.get() + w);
      Vector<T> most = before, sum{};
      for (int64_t i = w; i < lines * lanes.width; i += lanes.width) {
        const Vector<T> x = load(s + i);
        most = x > most ? x : most;
      }
      most = fold<T>(most, lanes.stride, [](Vector<T> x, Vector<T> y) { return x > y ? x : y; });
      const Vector<T> at = most == -std::numeric_limits<T>::infinity() ? Vector<T>{} : most;
      for (int64_t i = w; i < lines * lanes.width; i += lanes.width) {
        const Vector<T> p = exponential<T>(load(s + i) - at);
        store<T>(s + i, p);
        sum += p;
      }
      const Vector<T> scale = exponential<T>(before - at);
      store<T>(highest.get() + w, most);
      store<T>(shift.get() + w, at);
      store<T>(factor.get() + w, scale);
      store<T>(mass.get() + w, multiply_add(load(mass.get() + w), scale, folded(sum)));
    }
  }

  void add_total(const T* p, const T* cost, int64_t lines) {
    for (int64_t w = 0; w < lanes.width; w += VL<T>) {
      Vector<T> sum{};
      for (int64_t i = w; i < lines * lanes.width; i += lanes.width)
        sum = multiply_add(load(p + i), load(cost + i), sum);
      T* to = total.get() + w;
      store<T>(to, multiply_add(load(to), load(factor.get() + w), folded(sum)));
    }
  }

  // Leaves 1 / mass in `factor` (0 for a column without mass).
  void finish(T* lse, T* to_total) {
    for (int64_t w = 0; w < lanes.width; w += VL<T>) {
      const Vector<T> sum = load(mass.get() + w);
      const Vector<T> inverse = sum == T(0) ? Vector<T>{} : T(1) / sum;
      store<T>(factor.get() + w, inverse);
      store<T>(total.get() + w, load(total.get() + w) * inverse);
      store<T>(logs.get() + w, load(shift.get() + w) + logarithm<T>(sum));
    }
    copy_lanes<T>(logs.get(), lanes.count, lse);
    if (to_total) copy_lanes<T>(total.get(), lanes.count, to_total);
  }

  Vector<T> folded(Vector<T> x) const {
    return fold<T>(x, lanes.stride, [](Vector<T> y, Vector<T> z) { return y + z; });
  }
};

}  // namespace graphcolumns
