// The signed sum along edges: shapes of lanes and heads, rows in a batch, threads.

#include "../../../graphcolumns/ops/edge_linear/kernel.cpp"

#include "checks.h"

namespace standalone {
namespace {

template <class T> struct Mixing {
  const Graph& graph;
  int64_t batch, heads, width;
  std::vector<T> x, weight, grad;

  Mixing(Random& random, const Graph& graph, int64_t batch, int64_t heads, int64_t width)
      : graph(graph), batch(batch), heads(heads), width(width),
        x(random.numbers<T>(graph.sources * row())), weight(random.numbers<T>(graph.edges() * heads)),
        grad(random.numbers<T>(graph.columns * row())) {}

  int64_t row() const { return batch * heads * width; }

  Output<T> forward() const {
    Output<T> out(graph.columns * row());
    EdgeLinear a{};
    a.x = x.data(), a.weight = weight.data(), a.out = out.data();
    a.pointers = graph.rowptr.data(), a.other = graph.source.data(), a.rows = graph.columns;
    call(a, sizeof(T) == 4 ? edge_linear_sum_rows_float32 : edge_linear_sum_rows_float64);
    return out;
  }
  Output<T> backward() const {
    Output<T> out(graph.sources * row());
    EdgeLinear a{};
    a.x = grad.data(), a.weight = weight.data(), a.out = out.data();
    a.pointers = graph.colptr.data(), a.edge = graph.csc_edge.data();
    a.other = graph.csc_target.data(), a.rows = graph.sources;
    call(a, sizeof(T) == 4 ? edge_linear_sum_rows_float32 : edge_linear_sum_rows_float64);
    return out;
  }
  Output<T> weight_gradient() const {
    Output<T> out(graph.edges() * heads);
    EdgeLinear a{};
    a.x = x.data(), a.grad = grad.data(), a.grad_weight = out.data();
    a.pointers = graph.rowptr.data(), a.other = graph.source.data(), a.rows = graph.columns;
    call(a, sizeof(T) == 4 ? edge_linear_weight_gradient_float32
                           : edge_linear_weight_gradient_float64);
    return out;
  }
  void call(EdgeLinear& a, int (*kernel)(const EdgeLinear*)) const {
    a.batch = batch, a.heads = heads, a.width = width;
    check(kernel(&a) == 0, "memory");
  }
  Mixing sample(int64_t b) const {
    Mixing one = *this;
    const int64_t size = heads * width;
    one.batch = 1, one.x.clear(), one.grad.clear();
    for (int64_t j = 0; j < graph.sources; ++j)
      one.x.insert(one.x.end(), &x[j * row() + b * size], &x[j * row() + b * size] + size);
    for (int64_t i = 0; i < graph.columns; ++i)
      one.grad.insert(one.grad.end(), &grad[i * row() + b * size], &grad[i * row() + b * size] + size);
    return one;
  }
};

template <class T> void check_values(const Mixing<T>& m, const std::string& what, Bits& bits) {
  std::vector<double> y(m.graph.columns * m.row()), x(m.graph.sources * m.row()), w(m.weight.size());
  for (int64_t e = 0; e < m.graph.edges(); ++e)
    for (int64_t n = 0; n < m.row(); ++n) {
      const int64_t at = e * m.heads + n / m.width % m.heads;
      const int64_t i = m.graph.target[e] * m.row() + n, j = m.graph.source[e] * m.row() + n;
      y[i] += double(m.weight[at]) * m.x[j];
      x[j] += double(m.weight[at]) * m.grad[i];
      w[at] += double(m.grad[i]) * m.x[j];
    }
  Output<T> forward = m.forward(), backward = m.backward(), weight = m.weight_gradient();
  check_near(forward, y, what + " forward");
  check_near(backward, x, what + " gradient of x");
  check_near(weight, w, what + " gradient of the weights");
  for (Output<T>* all : {&forward, &backward, &weight}) bits.add(all->data(), all->size());
  const Mixing<T> last = m.sample(m.batch - 1);
  Output<T> alone = last.forward(), alone_back = last.backward();
  const int64_t before = m.row() - last.row();
  for (int64_t i = 0; i < m.graph.columns; ++i)
    check_bits(alone.data() + i * last.row(), forward.data() + i * m.row() + before, last.row(),
               what + " forward bits of a sample alone");
  for (int64_t j = 0; j < m.graph.sources; ++j)
    check_bits(alone_back.data() + j * last.row(), backward.data() + j * m.row() + before,
               last.row(), what + " gradient bits of a sample alone");
}

template <class T> void check_threads(Random& random) {
  const Graph graph = draw_graph(random, 60, 40, [](int64_t i) { return i * 2; });
  const Mixing<T> m(random, graph, 8, 4, 16);
  Output<T> first = m.forward(), back = m.backward(), weight = m.weight_gradient();
  at_any_number_of_threads([&] {
    check_bits(m.forward().data(), first.data(), first.size(), "edge_linear threads");
    check_bits(m.backward().data(), back.data(), back.size(), "edge_linear threads");
    check_bits(m.weight_gradient().data(), weight.data(), weight.size(), "edge_linear threads");
  });
}

template <class T> void check_all(Bits& bits) {
  Random random{2};
  const Graph graph = draw_graph(random, 6, 9, [](int64_t i) { return i * i * 4; });  // 0 to 100 edges
  const int64_t lanes[][2] = {{1, 1}, {3, 1}, {8, 1}, {1, 4}, {2, 3}, {5, 7}, {40, 4}};
  for (const auto& [batch, heads] : lanes)
    for (const int64_t width : {1, 3, 4, 5, 8, 13, 16, 64, 100})
      check_values(Mixing<T>(random, graph, batch, heads, width),
                   name_of<T>() + " edge_linear " + std::to_string(batch) + "x" +
                       std::to_string(heads) + "x" + std::to_string(width), bits);
  check_threads<T>(random);
}

}  // namespace

void check_edge_linear(Bits& bits) {
  check_all<float>(bits);
  check_all<double>(bits);
}

}  // namespace standalone
