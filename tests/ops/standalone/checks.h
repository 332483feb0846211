// Fixed inputs, comparisons, and what came of them.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace standalone {

inline int checks = 0, failures = 0;

inline void check(bool holds, const std::string& what) {
  ++checks;
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

// A stream of numbers that is the same on every machine: they are multiples of 2^-24 in [-1, 1).
struct Random {
  uint64_t state;

  uint64_t next() {
    uint64_t x = (state += 0x9E3779B97F4A7C15ULL);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  int64_t below(int64_t end) { return int64_t(next() % uint64_t(end)); }
  template <class T> std::vector<T> numbers(int64_t count) {
    std::vector<T> all(count);
    for (T& x : all) x = T(double(int64_t(next() >> 39)) * 0x1p-24 - 1.0);
    return all;
  }
};

// Some numbers, then a guard that nobody may write to.
template <class T> struct Output {
  static constexpr int guard = 32;
  std::vector<T> all;

  explicit Output(int64_t count, T first = T(NAN)) : all(count + guard, first) {
    std::fill(all.end() - guard, all.end(), T(7));
  }
  T* data() { return all.data(); }
  int64_t size() const { return int64_t(all.size()) - guard; }
  T operator[](int64_t i) const { return all[i]; }
  bool guarded() const {
    for (int64_t i = size(); i < int64_t(all.size()); ++i)
      if (all[i] != T(7)) return false;
    return true;
  }
};

template <class T> constexpr double TOLERANCE = sizeof(T) == 4 ? 2e-5 : 1e-12;  // of the largest

template <class T>
void check_near(const Output<T>& got, const std::vector<double>& expected, const std::string& what) {
  double largest = 1, error = 0;
  for (double x : expected) largest = std::max(largest, std::fabs(x));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double apart = std::fabs(double(got[int64_t(i)]) - expected[i]);
    error = apart <= error ? error : apart;  // a NaN stays
  }
  check(error <= TOLERANCE<T> * largest, what + ": wrong by " + std::to_string(error));
  check(got.guarded() && got.size() == int64_t(expected.size()), what + ": wrote too far");
}

template <class T>
void check_bits(const T* got, const T* expected, int64_t count, const std::string& what) {
  check(std::memcmp(got, expected, size_t(count) * sizeof(T)) == 0, what);
}

// Hash of all bits, to compare builds by (FNV-1a).
struct Bits {
  uint64_t hash = 0xcbf29ce484222325ULL;

  template <class T> void add(const T* numbers, int64_t count) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(numbers);
    for (size_t i = 0; i < size_t(count) * sizeof(T); ++i)
      hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
  }
};

template <class T> std::string name_of() { return sizeof(T) == 4 ? "float32" : "float64"; }

// f() with one, two and three threads.
template <class F> void at_any_number_of_threads(const F& f) {
  for (at::threads = 1; at::threads <= 3; ++at::threads) f();
  at::threads = 1;
}

// Who listens to whom: targets in order, and the same edges by source.
struct Graph {
  int64_t columns, sources;
  std::vector<int64_t> rowptr, colptr, csc_edge;
  std::vector<int32_t> source, target, csc_target;

  Graph(int64_t columns, int64_t sources, std::vector<int32_t> source, std::vector<int32_t> target)
      : columns(columns), sources(sources), rowptr(columns + 1), colptr(sources + 1),
        source(std::move(source)), target(std::move(target)) {
    for (int32_t i : this->target) ++rowptr[i + 1];
    for (int64_t i = 0; i < columns; ++i) rowptr[i + 1] += rowptr[i];
    for (int64_t j = 0; j < sources; ++j) {
      for (int64_t e = 0; e < edges(); ++e)
        if (this->source[e] == j) csc_edge.push_back(e), csc_target.push_back(this->target[e]);
      colptr[j + 1] = int64_t(csc_edge.size());
    }
  }
  int64_t edges() const { return int64_t(source.size()); }

  // The edges of one target.
  Graph only(int64_t i) const {
    const auto part = [&](const std::vector<int32_t>& all) {
      return std::vector<int32_t>(all.begin() + rowptr[i], all.begin() + rowptr[i + 1]);
    };
    return Graph(columns, sources, part(source), part(target));
  }
};

// `degree(i)` sources of column i, drawn with replacement.
template <class Degree>
Graph draw_graph(Random& random, int64_t columns, int64_t sources, const Degree& degree) {
  std::vector<int32_t> source, target;
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t e = degree(i); e > 0; --e) {
      source.push_back(int32_t(random.below(sources)));
      target.push_back(int32_t(i));
    }
  return Graph(columns, sources, std::move(source), std::move(target));
}

void check_attention(Bits& bits);
void check_edge_linear(Bits& bits);
void check_edge_scores(Bits& bits);
void check_untied_linear(Bits& bits);

}  // namespace standalone
