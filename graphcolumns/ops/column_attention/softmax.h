// A softmax over the edges of one column, block by block.
#pragma once

#include "work.h"

namespace graphcolumns {

// The state of an online softmax over the edges of one column.
template <class T> struct Softmax {
  Lanes<T> lanes;
  Buffer<T> highest, shift, factor, mass, total;

  explicit Softmax(Lanes<T> lanes)
      : lanes(lanes),
        highest(lanes.width),
        shift(lanes.width),
        factor(lanes.width),
        mass(lanes.width),
        total(lanes.width) {}

  void reset() {
    std::fill_n(highest.get(), lanes.width, CLOSED<T>);
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
      const Vector<T> at = most == CLOSED<T> ? Vector<T>{} : most;
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

  // Leaves 1 / mass in `factor` (0 for a column without mass). The normaliser is kept in two parts,
  // `shift` and the logarithm of the mass: their sum has lost the second where scores are large.
  void finish(const T* level, T* lse, T* to_highest, T* to_log_mass, T* to_total) {
    for (int64_t w = 0; w < lanes.width; w += VL<T>) {
      const Vector<T> sum = load(mass.get() + w), log = logarithm<T>(sum);
      const Vector<T> inverse = sum == T(0) ? Vector<T>{} : T(1) / sum;
      const Vector<T> at = load(shift.get() + w), sum_log = at + log;
      store<T>(factor.get() + w, inverse);
      store_lanes<T>(lse + w, lanes.count - w, level ? load(level + w) + sum_log : sum_log);
      store_lanes<T>(to_highest + w, lanes.count - w, at);
      store_lanes<T>(to_log_mass + w, lanes.count - w, log);
      if (to_total) store_lanes<T>(to_total + w, lanes.count - w, load(total.get() + w) * inverse);
    }
  }

  Vector<T> folded(Vector<T> x) const {
    return fold<T>(x, lanes.stride, [](Vector<T> y, Vector<T> z) { return y + z; });
  }
};

}  // namespace graphcolumns
