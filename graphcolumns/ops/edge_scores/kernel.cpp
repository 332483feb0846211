// What edges are worth for one CPU: two dot products per pair, step, sample and head, and sums of
// what follows from them. The mathematics stands in __init__.py; cpp.py calls what is at the end.

#include <cmath>
#include <vector>

#include "../cpp/dots.h"
#include "../cpp/exponential.h"
#include "../cpp/shares.h"

namespace graphcolumns::scoring {  // names of its own: kernels are linked into one library

struct EdgeScores {  // the same order of fields as in cpp.py
  const void *q, *k, *v, *grad;   // [T, N, B, H, D], [T, M, B, H, D], [.. Dv], [T, N, B, H, Dv]
  const void *lse, *delta, *bias; // [T, N, B, H] twice; [T or 1, P, H or 1], or null
  void* sums;                     // [10, P], zeros
  const int64_t *pointers;        // pairs of every target [N + 1]
  const int64_t *source;          // [P]
  const uint8_t *sole;            // [P], or null
  int64_t steps, columns, sources, batch, heads, width, value_width, pairs, bias_heads, bias_steps;
  double scale;
};

constexpr int TERMS = 7;  // mass, bias gradient, deletion, would-be, advantage, gate, insertion
constexpr double CLIP = 1e-6;

// 1 - e^x for x <= 0, with all digits also near 0.
template <class T> inline Vector<T> remainder(Vector<T> x, Vector<T> e) {
  Vector<T> sum = fill<T>(T(1) / 16);
  for (int n = 15; n > 1; --n) sum = multiply_add(sum * x, fill(T(1) / n), fill(T(1) / n));
  // (e^x - 1) / x = 1 + x / 2 (1 + x / 3 (1 + ...)): `sum` is what stands behind x.
  return x > T(-0.5) ? -multiply_add(x * x, sum, x) : T(1) - e;
}

template <class T> struct Terms {
  Vector<T> of[TERMS];

  // From log rho = s - lse, the advantage, and where the pair is closed.
  Terms(Vector<T> x, Vector<T> advantage) {
    constexpr T inf = std::numeric_limits<T>::infinity();
    const Vector<T> below = x > T(0) ? -x : x, e = exponential<T>(below);
    const Vector<T> one = fill<T>(1), inverse = one / e;
    const Vector<T> p = x > T(0) ? (x == inf ? Vector<T>{} : one) : e;  // no open edge: no mass
    const Vector<T> a = (x > T(0) ? one : e) / (one + e);
    const Vector<T> rho = x > T(0) ? (inverse > T(1 / CLIP) ? fill<T>(1 / CLIP) : inverse) : e;
    const Vector<T> left = x > T(0) ? Vector<T>{} : remainder<T>(x, e);
    const Vector<T> leaves = p / (left < T(CLIP) ? fill<T>(CLIP) : left);
    of[0] = p, of[1] = p * advantage, of[2] = -leaves * advantage;
    of[3] = a, of[4] = advantage, of[5] = rho * advantage, of[6] = a * advantage;
  }
};

template <class T> struct Part {  // whole samples from `begin`, for blocks of pairs of one target
  const EdgeScores& a;
  const int64_t begin, samples, all;
  const Lanes<T> lanes;
  const int64_t block, size;
  const Dots<T> dots, value_dots;
  std::vector<const T*> keys, values;
  std::vector<T> s, worth, bias, total, lse, delta, given;

  Part(const EdgeScores& a, int64_t begin, int64_t samples, int64_t longest)
      : a(a), begin(begin), samples(samples), all(a.batch * a.heads), lanes(samples * a.heads),
        block(std::min(longest, std::max<int64_t>(VL<T>, 1024 / lanes.stride))),
        size(lanes.lines(block) * lanes.width + VL<T>),
        dots(dots_for<T>(a.width)), value_dots(dots_for<T>(a.value_width)),
        keys(block), values(block), s(size), worth(size), bias(size), total(TERMS * size),
        lse(lanes.width), delta(lanes.width), given(lanes.width) {}

  const T* row(const void* base, int64_t t, int64_t rows, int64_t i, int64_t width) const {
    return static_cast<const T*>(base) + ((t * rows + i) * all + begin * a.heads) * width;
  }

  // A line of lanes: packed lanes repeat, what is left of a vector is 0.
  void fill_line(const T* from, std::vector<T>& line) const {
    const int64_t repeats = lanes.stride == lanes.count ? lanes.width / lanes.count : 1;
    for (int64_t r = 0; r < repeats; ++r)
      std::copy_n(from, lanes.count, line.data() + r * lanes.count);
  }

  void step(int64_t t, int64_t i, int64_t at, int64_t edges) {
    for (int64_t e = 0; e < edges; ++e) {
      keys[e] = row(a.k, t, a.sources, a.source[at + e], a.width);
      values[e] = row(a.v, t, a.sources, a.source[at + e], a.value_width);
    }
    dots(row(a.q, t, a.columns, i, a.width), keys.data(), edges, a.width, lanes, s.data());
    const T* arrived = row(a.grad, t, a.columns, i, a.value_width);
    value_dots(arrived, values.data(), edges, a.value_width, lanes, worth.data());
    fill_line(row(a.lse, t, a.columns, i, 1), lse);
    fill_line(row(a.delta, t, a.columns, i, 1), delta);
    for (int64_t l = 0; l < lanes.width; ++l) given[l] += delta[l];
    if (a.bias) {
      const int64_t first = (a.bias_steps > 1 ? t : 0) * a.pairs + at;
      const EdgeValues<T> of{static_cast<const T*>(a.bias), a.bias_heads};
      of.expand([&](int64_t e) { return first + e; }, edges, lanes, bias.data());
    }
    add_terms(edges);
  }

  void add_terms(int64_t edges) {
    constexpr T inf = std::numeric_limits<T>::infinity();
    for (int64_t line = 0; line < lanes.lines(edges); ++line)
      for (int64_t l = 0; l < lanes.width; l += VL<T>) {
        const int64_t n = line * lanes.width + l;
        const Vector<T> score = multiply_add(fill(T(a.scale)), load(&s[n]), load(&bias[n]));
        const Vector<T> x = score == -inf ? score : score - load(&lse[l]);  // closed stays closed
        const Terms<T> terms(x, load(&worth[n]) - load(&delta[l]));
        for (int r = 0; r < TERMS; ++r) {
          T* to = &total[r * size + n];
          store<T>(to, load(to) + terms.of[r]);
        }
      }
  }

  T over_heads(const T* from, int64_t b) const {
    T sum = 0;
    for (int64_t h = 0; h < a.heads; ++h) sum += from[b * a.heads + h];
    return sum;
  }

  void add_sums(int64_t pair, int64_t e) {
    T sum[10] = {};
    const bool sole = a.sole && a.sole[pair];
    for (int64_t b = 0; b < samples; ++b) {
      T u[TERMS];
      for (int r = 0; r < TERMS; ++r) u[r] = over_heads(&total[r * size + e * lanes.stride], b);
      if (sole) u[2] = -over_heads(given.data(), b);  // nothing is left: the column receives 0
      const T each[10] = {u[0], u[1], std::abs(u[1]), u[2], u[2] * u[2],
                          u[3], u[4], u[5], u[6], u[6] * u[6]};
      for (int r = 0; r < 10; ++r) sum[r] += each[r];
    }
    const T mean = T(1) / (a.steps * a.heads);
    sum[0] *= mean, sum[5] *= mean;
    T* to = static_cast<T*>(a.sums) + pair;
    for (int r = 0; r < 10; ++r) to[r * a.pairs] += sum[r];
  }

  void run(int64_t i) {
    for (int64_t at = a.pointers[i]; at < a.pointers[i + 1]; at += block) {
      const int64_t edges = std::min(block, a.pointers[i + 1] - at);
      std::fill(total.begin(), total.end(), T(0));
      std::fill(given.begin(), given.end(), T(0));
      for (int64_t t = 0; t < a.steps; ++t) step(t, i, at, edges);
      for (int64_t e = 0; e < edges; ++e) add_sums(at + e, e);
    }
  }
};

template <class T> void edge_scores(const EdgeScores& a) {
  const int64_t work = a.steps * a.batch * a.heads * (a.width + a.value_width);
  over_rows(a.pointers, a.columns, work, [&](int64_t begin, int64_t end) {
    const int64_t slice = slice_of(a.batch, a.heads), most = longest(a.pointers, begin, end);
    for (int64_t b = 0; b < a.batch; b += slice) {
      Part<T> part(a, b, std::min(slice, a.batch - b), most);
      for (int64_t i = begin; i < end; ++i) part.run(i);
    }
  });
}

}  // namespace graphcolumns::scoring

using graphcolumns::scoring::EdgeScores;

EXPORT int edge_scores_float32(const EdgeScores* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::scoring::edge_scores<float>(*a); });
}
EXPORT int edge_scores_float64(const EdgeScores* a) {
  return graphcolumns::without_exceptions([&] { graphcolumns::scoring::edge_scores<double>(*a); });
}
