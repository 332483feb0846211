// What edges are worth: pairs alone and among others, threads.

#include "../../../graphcolumns/ops/edge_scores/kernel.cpp"

#include "checks.h"

namespace standalone {
namespace {

constexpr int64_t SUMS = 10, STEPS = 2;
constexpr double SCALE = 0.4;

template <class T> struct Scoring {
  const Graph& graph;
  int64_t batch, heads, width, value_width;
  std::vector<T> q, k, v, grad, lse, delta, bias;

  Scoring(Random& random, const Graph& graph, int64_t batch, int64_t heads, int64_t width,
          int64_t value_width)
      : graph(graph), batch(batch), heads(heads), width(width), value_width(value_width) {
    const int64_t targets = STEPS * graph.columns * batch * heads;
    const int64_t sources = STEPS * graph.sources * batch * heads;
    q = random.numbers<T>(targets * width), k = random.numbers<T>(sources * width);
    v = random.numbers<T>(sources * value_width), grad = random.numbers<T>(targets * value_width);
    lse = random.numbers<T>(targets), delta = random.numbers<T>(targets);
    for (T& x : lse) x += T(0.3) * T(width) + T(1);
    bias = random.numbers<T>(graph.edges() * heads);
  }

  // Of the pairs [first, last), which belong to whole targets.
  Output<T> sums(const std::vector<int64_t>& pointers, int64_t first, int64_t last) const {
    Output<T> to(SUMS * (last - first), T(0));
    std::vector<int64_t> source(graph.source.begin() + first, graph.source.begin() + last);
    EdgeScores a{};
    a.q = q.data(), a.k = k.data(), a.v = v.data(), a.grad = grad.data();
    a.lse = lse.data(), a.delta = delta.data(), a.bias = bias.data() + first * heads;
    a.sums = to.data(), a.pointers = pointers.data(), a.source = source.data();
    a.steps = STEPS, a.columns = graph.columns, a.sources = graph.sources, a.batch = batch;
    a.heads = heads, a.width = width, a.value_width = value_width, a.pairs = last - first;
    a.bias_heads = heads, a.bias_steps = 1, a.scale = SCALE;
    check((sizeof(T) == 4 ? edge_scores_float32 : edge_scores_float64)(&a) == 0, "memory");
    return to;
  }
  Output<T> sums() const { return sums(graph.rowptr, 0, graph.edges()); }

  double dot(const std::vector<T>& a, int64_t row, const std::vector<T>& b, int64_t other,
             int64_t size) const {
    double sum = 0;
    for (int64_t d = 0; d < size; ++d) sum += double(a[row * size + d]) * b[other * size + d];
    return sum;
  }

  // What step t and head h add to the terms of edge e and sample b.
  void add_terms(int64_t e, int64_t b, int64_t t, int64_t h, double* u) const {
    const int64_t lanes = batch * heads, lane = b * heads + h;
    const int64_t i = (t * graph.columns + graph.target[e]) * lanes + lane;
    const int64_t j = (t * graph.sources + graph.source[e]) * lanes + lane;
    const double x = SCALE * dot(q, i, k, j, width) + bias[e * heads + h] - lse[i];
    const double advantage = dot(grad, i, v, j, value_width) - delta[i];
    const double e_x = std::exp(x), p = std::min(e_x, 1.0), gate = e_x / (1 + e_x);
    const double terms[] = {p, p * advantage, -p / std::max(-std::expm1(x), 1e-6) * advantage,
                            gate, advantage, std::min(e_x, 1e6) * advantage, gate * advantage};
    for (int r = 0; r < 7; ++r) u[r] += terms[r];
  }

  std::vector<double> expected() const {
    std::vector<double> to(SUMS * graph.edges());
    for (int64_t e = 0; e < graph.edges(); ++e)
      for (int64_t b = 0; b < batch; ++b) {
        double u[7] = {};
        for (int64_t t = 0; t < STEPS; ++t)
          for (int64_t h = 0; h < heads; ++h) add_terms(e, b, t, h, u);
        const double mean = 1.0 / double(STEPS * heads);
        const double each[] = {u[0] * mean, u[1], std::fabs(u[1]), u[2], u[2] * u[2],
                               u[3] * mean, u[4], u[5], u[6], u[6] * u[6]};
        for (int64_t r = 0; r < SUMS; ++r) to[r * graph.edges() + e] += each[r];
      }
    return to;
  }
};

// The pairs of one target alone.
template <class T> void check_alone(const Scoring<T>& s, const std::string& what) {
  const Graph& graph = s.graph;
  Output<T> all = s.sums();
  for (int64_t i = 0; i < graph.columns; ++i) {
    const int64_t first = graph.rowptr[i], last = graph.rowptr[i + 1];
    Output<T> alone = s.sums(graph.only(i).rowptr, first, last);
    for (int64_t r = 0; r < SUMS; ++r)
      check_bits(alone.data() + r * (last - first), all.data() + r * graph.edges() + first,
                 last - first, what + " bits of a target alone");
  }
}

template <class T> void check_threads(Random& random) {
  const Graph graph = draw_graph(random, 60, 40, [](int64_t i) { return i * 2; });
  const Scoring<T> s(random, graph, 4, 4, 16, 16);
  Output<T> first = s.sums();
  at_any_number_of_threads(
      [&] { check_bits(s.sums().data(), first.data(), first.size(), "edge_scores threads"); });
}

template <class T> void check_all(Bits& bits) {
  Random random{3};
  const Graph graph = draw_graph(random, 5, 9, [](int64_t i) { return i * i * 3; });
  const int64_t lanes[][2] = {{1, 1}, {3, 1}, {1, 4}, {2, 3}, {5, 7}, {40, 4}};
  for (const auto& [batch, heads] : lanes)
    for (const int64_t width : {1, 3, 4, 8, 13, 16}) {
      const std::string what = name_of<T>() + " edge_scores " + std::to_string(batch) + "x" +
                               std::to_string(heads) + "x" + std::to_string(width);
      const Scoring<T> s(random, graph, batch, heads, width, 20 - width);
      Output<T> sums = s.sums();
      check_near(sums, s.expected(), what);
      bits.add(sums.data(), sums.size());
      check_alone(s, what);
    }
  check_threads<T>(random);
}

}  // namespace

void check_edge_scores(Bits& bits) {
  check_all<float>(bits);
  check_all<double>(bits);
}

}  // namespace standalone
