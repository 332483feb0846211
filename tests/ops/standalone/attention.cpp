// Attention along edges, forward and backward: shapes of lanes and widths, columns alone, threads.

#include "../../../graphcolumns/ops/column_attention/kernel.cpp"

#include "checks.h"

namespace standalone {
namespace {

constexpr double SCALE = 0.6;

template <class T> struct Results {
  Output<T> out, total, lse, grad_q, grad_k, grad_v, grad_bias, grad_cost;

  std::vector<std::pair<const char*, Output<T>*>> all() {
    return {{"out", &out}, {"cost", &total}, {"lse", &lse}, {"grad q", &grad_q}, {"grad k", &grad_k},
            {"grad v", &grad_v}, {"grad bias", &grad_bias}, {"grad cost", &grad_cost}};
  }
};

template <class T> struct Case {
  const Graph& graph;
  int64_t batch, heads, width, value_width;
  std::vector<T> q, k, v, bias, cost, grad_out, grad_total, grad_lse;

  Case(Random& random, const Graph& graph, int64_t batch, int64_t heads, int64_t width,
       int64_t value_width)
      : graph(graph), batch(batch), heads(heads), width(width), value_width(value_width) {
    const int64_t targets = graph.columns * lanes(), sources = graph.sources * lanes();
    q = random.numbers<T>(targets * width), k = random.numbers<T>(sources * width);
    v = random.numbers<T>(sources * value_width), bias = random.numbers<T>(graph.edges() * heads);
    cost = random.numbers<T>(graph.edges()), grad_out = random.numbers<T>(targets * value_width);
    grad_total = random.numbers<T>(targets), grad_lse = random.numbers<T>(targets);
  }

  Case(const Case& from, const Graph& graph)
      : graph(graph), batch(from.batch), heads(from.heads), width(from.width),
        value_width(from.value_width), q(from.q), k(from.k), v(from.v), bias(from.bias),
        cost(from.cost), grad_out(from.grad_out), grad_total(from.grad_total),
        grad_lse(from.grad_lse) {}

  int64_t lanes() const { return batch * heads; }

  Results<T> run() const {
    const int64_t targets = graph.columns * lanes(), sources = graph.sources * lanes();
    Results<T> r{Output<T>(targets * value_width), Output<T>(targets), Output<T>(targets),
                 Output<T>(targets * width), Output<T>(sources * width),
                 Output<T>(sources * value_width), Output<T>(graph.edges() * heads),
                 Output<T>(graph.edges())};
    Output<T> highest(targets), log_mass(targets), centred(bias.size()), state(3 * targets);
    Attention a{};
    a.q = q.data(), a.k = k.data(), a.v = v.data(), a.bias = bias.data(), a.cost = cost.data();
    a.out = r.out.data(), a.total = r.total.data(), a.lse = r.lse.data();
    a.highest = highest.data(), a.log_mass = log_mass.data();
    a.grad_out = grad_out.data(), a.grad_total = grad_total.data(), a.grad_lse = grad_lse.data();
    a.grad_q = r.grad_q.data(), a.grad_k = r.grad_k.data();
    a.grad_v = r.grad_v.data(), a.grad_bias = r.grad_bias.data();
    a.grad_cost = r.grad_cost.data(), a.rowptr = graph.rowptr.data();
    a.colptr = graph.colptr.data(), a.csc_edge = graph.csc_edge.data();
    a.source = graph.source.data(), a.csc_target = graph.csc_target.data();
    a.columns = graph.columns, a.sources = graph.sources, a.batch = batch, a.heads = heads;
    a.width = width, a.value_width = value_width, a.bias_values = heads, a.cost_values = 1;
    a.scale = SCALE;
    constexpr bool f = sizeof(T) == 4;
    check((f ? attention_forward_float32 : attention_forward_float64)(&a) == 0, "memory");
    a.centred = centred.data(), a.state = state.data();  // of the backward passes alone
    check((f ? attention_backward_float32 : attention_backward_float64)(&a) == 0, "memory");
    return r;
  }
};

template <class A, class B> double dot(const A* a, const B* b, int64_t size) {
  double sum = 0;
  for (int64_t d = 0; d < size; ++d) sum += double(a[d]) * double(b[d]);
  return sum;
}

template <class A> void add(double factor, const A* from, int64_t size, double* to) {
  for (int64_t d = 0; d < size; ++d) to[d] += factor * double(from[d]);
}

struct Expected {
  std::vector<double> out, total, lse, grad_q, grad_k, grad_v, grad_bias, grad_cost;

  std::vector<const std::vector<double>*> all() const {
    return {&out, &total, &lse, &grad_q, &grad_k, &grad_v, &grad_bias, &grad_cost};
  }
};

// One column and lane, in float64.
template <class T> void expect_lane(const Case<T>& c, int64_t i, int64_t lane, Expected& x) {
  const int64_t D = c.width, V = c.value_width, row = i * c.lanes() + lane;
  const int64_t begin = c.graph.rowptr[i], end = c.graph.rowptr[i + 1];
  const auto other = [&](int64_t e) { return c.graph.source[e] * c.lanes() + lane; };
  const auto bias_at = [&](int64_t e) { return e * c.heads + lane % c.heads; };
  std::vector<double> p;
  double mass = 0;
  for (int64_t e = begin; e < end; ++e) {
    p.push_back(std::exp(SCALE * dot(&c.q[row * D], &c.k[other(e) * D], D) +
                         double(c.bias[bias_at(e)])));
    mass += p.back();
  }
  x.lse[row] = std::log(mass);
  for (int64_t e = begin; e < end; ++e) {
    const double share = p[e - begin] /= mass;
    add(share, &c.v[other(e) * V], V, &x.out[row * V]);
    x.total[row] += share * double(c.cost[e]);
  }
  const double arriving = c.grad_total[row];
  const double delta = dot(&c.grad_out[row * V], &x.out[row * V], V) + arriving * x.total[row] -
                       double(c.grad_lse[row]);
  for (int64_t e = begin; e < end; ++e) {
    const double share = p[e - begin], worth = dot(&c.grad_out[row * V], &c.v[other(e) * V], V);
    const double ds = share * (worth + arriving * double(c.cost[e]) - delta);
    add(SCALE * ds, &c.k[other(e) * D], D, &x.grad_q[row * D]);
    add(SCALE * ds, &c.q[row * D], D, &x.grad_k[other(e) * D]);
    add(share, &c.grad_out[row * V], V, &x.grad_v[other(e) * V]);
    x.grad_bias[bias_at(e)] += ds;
    x.grad_cost[e] += share * arriving;
  }
}

template <class T> void check_values(const Case<T>& c, const std::string& what, Bits& bits) {
  Results<T> got = c.run();
  Expected expected;
  for (size_t n = 0; n < got.all().size(); ++n)
    const_cast<std::vector<double>&>(*expected.all()[n]).resize(got.all()[n].second->size());
  for (int64_t i = 0; i < c.graph.columns; ++i)
    for (int64_t lane = 0; lane < c.lanes(); ++lane) expect_lane(c, i, lane, expected);
  for (double& x : expected.lse) x = std::isinf(x) ? -1e3 : x;
  for (T& x : got.lse.all) x = std::isinf(x) ? T(-1e3) : x;
  for (size_t n = 0; n < got.all().size(); ++n) {
    const auto [name, output] = got.all()[n];
    check_near(*output, *expected.all()[n], what + " " + name);
    bits.add(output->data(), output->size());
  }
}

// Every column in a graph in which nobody else hears anything.
template <class T> void check_alone(const Case<T>& c, const std::string& what) {
  Results<T> all = c.run();
  for (int64_t i = 0; i < c.graph.columns; ++i) {
    const int64_t first = c.graph.rowptr[i], last = c.graph.rowptr[i + 1];
    const Graph graph = c.graph.only(i);
    Case<T> one{c, graph};
    one.bias.assign(&c.bias[first * c.heads], &c.bias[first * c.heads] + (last - first) * c.heads);
    one.cost.assign(&c.cost[first], &c.cost[first] + (last - first));
    Results<T> alone = one.run();
    const auto compare = [&](Output<T>& x, Output<T>& y, int64_t width) {
      check_bits(x.data() + i * width, y.data() + i * width, width, what + " bits of a column alone");
    };
    compare(alone.out, all.out, c.lanes() * c.value_width);
    compare(alone.total, all.total, c.lanes());
    compare(alone.lse, all.lse, c.lanes());
    compare(alone.grad_q, all.grad_q, c.lanes() * c.width);
    check_bits(alone.grad_bias.data(), all.grad_bias.data() + first * c.heads,
               (last - first) * c.heads, what + " bits of a column alone");
  }
}

template <class T> void check_threads(Random& random) {
  const Graph graph = draw_graph(random, 60, 40, [](int64_t i) { return i * 2; });
  const Case<T> c(random, graph, 4, 4, 16, 16);
  Results<T> first = c.run();
  at_any_number_of_threads([&] {
    Results<T> again = c.run();
    for (size_t n = 0; n < first.all().size(); ++n)
      check_bits(again.all()[n].second->data(), first.all()[n].second->data(),
                 first.all()[n].second->size(), std::string("attention threads ") + first.all()[n].first);
  });
}

template <class T> void check_all(Bits& bits) {
  Random random{4};
  const Graph graph = draw_graph(random, 6, 9, [](int64_t i) { return i * i * 4; });  // 0 to 100 edges
  const int64_t lanes[][2] = {{1, 1}, {3, 1}, {8, 1}, {1, 4}, {2, 3}, {5, 7}, {40, 4}};
  for (const auto& [batch, heads] : lanes)
    for (const int64_t width : {1, 3, 4, 5, 8, 13, 16, 64, 100}) {
      const std::string what = name_of<T>() + " attention " + std::to_string(batch) + "x" +
                               std::to_string(heads) + "x" + std::to_string(width);
      const Case<T> c(random, graph, batch, heads, width, width > 20 ? width : 20 - width);
      check_values(c, what, bits);
      if (width < 20) check_alone(c, what);
    }
  check_threads<T>(random);
}

}  // namespace

void check_attention(Bits& bits) {
  check_all<float>(bits);
  check_all<double>(bits);
}

}  // namespace standalone
