// What one thread holds while it computes attention: a slice of the lanes, a block of edges.
#pragma once

#include <vector>

#include "../cpp/dots.h"
#include "../cpp/exponential.h"
#include "../cpp/sums.h"
#include "levels.h"

namespace graphcolumns {

struct Attention {  // the same order of fields as in cpp.py
  const void *q, *k, *v, *bias, *cost;            // [N|M, B, H, D|Dv], [E] or [E, H]
  void *out, *total;                              // [N, B, H, Dv], [N, B, H]
  void *lse, *highest, *log_mass;                 // [N, B, H]; lse is written only
  const void *grad_out, *grad_total, *grad_lse;   // like out, total, lse; the last two may be null
  void *centred, *state;                          // from one backward pass to the other: like bias;
                                                  // [N, 3, B, H], see Target
  void *grad_q, *grad_k, *grad_v, *grad_bias, *grad_cost;
  const int64_t *rowptr, *colptr, *csc_edge;
  const int32_t *source, *csc_target;
  int64_t columns, sources, batch, heads, width, value_width, bias_values, cost_values, seed;
  double scale, dropout;
};

// splitmix64, as in dropout.py
inline uint64_t mix(uint64_t counter) {
  uint64_t x = (counter + 1) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

template <class T> struct Buffer {  // zeroed, and readable past its end
  std::vector<T> numbers;
  explicit Buffer(int64_t size = 0) : numbers(size == 0 ? 0 : size + VL<T>) {}
  T* get() { return numbers.data(); }
};

// One thread's view of the arguments and its buffers: a slice of the lanes, a block of edges.
template <class T> struct Work {
  const Attention& a;
  const int64_t first, all;  // the first lane of the slice, all lanes of a row
  const Lanes<T> lanes;
  const int64_t block;  // edges that the buffers hold
  const T scale;
  EdgeValues<T> bias;  // counted from the highest of their column
  const EdgeValues<T> cost;
  const Dots<T> dots;
  const Dots<T> value_dots;
  const Sums<T> sums;
  const Sums<T> value_sums;
  std::vector<const T*> rows, value_rows;
  Buffer<T> s, t, edge_bias, edge_cost, keep, biases, highest_bias, level;
  std::vector<T> silenced, silenced_values;
  const T* biases_here = nullptr;  // of the block, as [edges, lanes]
  bool closed = false;             // whether an edge of this row may be: its bias is -inf
  bool apart = false;              // whether a normaliser of this row may be in two parts

  Work(const Attention& a, int64_t first_batch, int64_t batches, int64_t longest, int64_t numbers)
      : a(a),
        first(first_batch * a.heads),
        all(a.batch * a.heads),
        lanes(batches * a.heads),
        block(std::min(longest, std::max<int64_t>(VL<T>, numbers / lanes.stride))),
        scale(T(a.scale)),
        bias{static_cast<const T*>(a.centred), a.bias_values},
        cost{static_cast<const T*>(a.cost), a.cost_values},
        dots(dots_for<T>(a.width)),
        value_dots(dots_for<T>(a.value_width)),
        sums(sums_for<T>(a.width)),
        value_sums(sums_for<T>(a.value_width)),
        rows(block),
        value_rows(block),
        s(held()),
        t(held()),
        edge_bias(a.bias ? held() : 0),
        edge_cost(cost.values ? held() : 0),
        keep(a.dropout > 0 ? held() : 0),
        biases(a.bias && !a.centred ? longest * a.bias_values : 0),
        highest_bias(a.bias ? a.bias_values : 0),
        level(lanes.width) {
    if (!a.centred) bias.values = biases.get();
  }

  int64_t held() const { return lanes.lines(block) * lanes.width + lanes.width; }

  const T* row(const void* base, int64_t i, int64_t width) const {
    return static_cast<const T*>(base) + (i * all + first) * width;
  }
  T* row(void* base, int64_t i, int64_t width) const {
    return static_cast<T*>(base) + (i * all + first) * width;
  }

  // Counts the biases of edges `begin` to `end`, all of a column, from the highest of them.
  void centre_biases(int64_t begin, int64_t end) {
    if (!a.bias) return;
    const int64_t first_value = begin * a.bias_values;
    T* to = a.centred ? static_cast<T*>(a.centred) + first_value : biases.get();
    closed = centre(
        static_cast<const T*>(a.bias) + first_value, end - begin, a.bias_values,
        highest_bias.get(), to);
  }

  // s = scale x products + bias, and -inf where a line holds no edge; `id` names the biases, which
  // may be `in_order`.
  template <class Id> void score(const T* mine, const Id& id, int64_t edges, bool in_order) {
    dots(mine, rows.data(), edges, a.width, lanes, s.get());
    T* x = s.get();
    const int64_t end = edges * lanes.stride;
    if (a.bias) {
      if (in_order && lanes.stride == a.bias_values) biases_here = bias.values + id(0) * lanes.stride;
      else bias.expand(id, edges, lanes, edge_bias.get()), biases_here = edge_bias.get();
      const T* b = biases_here;
      for (int64_t i = 0; i < end; i += VL<T>)
        store<T>(x + i, multiply_add(load(x + i), fill(scale), load(b + i)));
      if (closed)  // whatever the product is
        for (int64_t i = 0; i < end; i += VL<T>)
          store<T>(x + i, load(b + i) == CLOSED<T> ? fill(CLOSED<T>) : load(x + i));
    } else {
      for (int64_t i = 0; i < end; i += VL<T>) store<T>(x + i, load(x + i) * scale);
    }
    std::fill(x + end, x + lanes.lines(edges) * lanes.width, CLOSED<T>);
  }

  // ---- Edges that pass nothing, because they are closed or dropped: 0 x NaN would be NaN.

  bool is_silent(int64_t i, bool dropped) {
    return (closed && biases_here[i] == CLOSED<T>) || (dropped && keep.get()[i] == T(0));
  }

  // Numbers of a block of edges [edges, lanes], 0 where an edge passes nothing.
  void silence(T* x, int64_t edges) {
    const bool dropped = a.dropout > 0;
    if (!closed && !dropped) return;
    for (int64_t i = 0; i < edges * lanes.stride; ++i) x[i] = is_silent(i, dropped) ? T(0) : x[i];
  }

  // Rows of a block of edges: of those with silent lanes copies, with zeros there.
  void silence_rows(std::vector<const T*>& of, int64_t edges, int64_t width, bool dropped) {
    const int64_t numbers = lanes.count * width;
    std::vector<T>& copies = &of == &rows ? silenced : silenced_values;
    copies.resize(block * numbers + VL<T>);  // readable past its end
    T* to = copies.data();
    for (int64_t e = 0; e < edges; ++e, to += numbers) {
      bool changed = false;
      for (int64_t l = 0; l < lanes.count; ++l) {
        if (!is_silent(e * lanes.stride + l, dropped)) continue;
        if (!changed) std::copy_n(of[e], numbers, to);
        changed = true;
        std::fill_n(to + l * width, width, T(0));
      }
      if (changed) of[e] = to;
    }
  }

  // The dropout factors and costs of a block of edges.
  template <class Id> void prepare(const Id& id, int64_t edges) {
    if (a.dropout > 0) draw(id, edges);
    if (!cost.values) return;
    cost.expand(id, edges, lanes, edge_cost.get());
    silence(edge_cost.get(), edges);
    // What an earlier block left where a line holds no edge may be infinite: 0 x inf is NaN.
    T* c = edge_cost.get();
    std::fill(c + edges * lanes.stride, c + lanes.lines(edges) * lanes.width, T(0));
  }

  template <class Id> void draw(const Id& id, int64_t edges) {
    const uint64_t start = mix(uint64_t(a.seed));
    const float rate = float(a.dropout);
    const T kept = T(1) / T(1.0 - a.dropout);
    for (int64_t e = 0; e < edges; ++e) {
      const uint64_t counter = start + uint64_t(id(e)) * uint64_t(all) + uint64_t(first);
      T* to = keep.get() + e * lanes.stride;
      for (int64_t l = 0; l < lanes.count; ++l) {
        const float uniform = float(int32_t(mix(counter + uint64_t(l)) >> 40)) * 0x1p-24f;
        to[l] = uniform >= rate ? kept : T(0);
      }
    }
  }

  // What is known of targets, as lines. The weight is exp((s - normaliser) - rest): small
  // normalisers are one number with a rest of 0, which spares all edges the second subtraction.
  struct Target {
    const T *normaliser, *delta, *rest, *grad_total;
  };

  // From s, and dP without cost in t: p times the dropout factor in s, dS in t. What is known of
  // targets advances by `step` numbers per line: 0 when all edges share it.
  void differentiate(const Target& of, int64_t step, int64_t edges) {
    const bool c = cost.values, m = a.dropout > 0;
    if (closed || apart) differentiate_<true, true, true>(of, step, edges);
    else if (c && m) differentiate_<true, true, false>(of, step, edges);
    else if (c) differentiate_<true, false, false>(of, step, edges);
    else if (m) differentiate_<false, true, false>(of, step, edges);
    else differentiate_<false, false, false>(of, step, edges);
  }

  template <bool Cost, bool Keep, bool Any>  // Any: whatever there is of cost, dropout, -inf, rest
  void differentiate_(const Target& of, int64_t step, int64_t edges) {
    const bool c = cost.values, m = a.dropout > 0, two = apart, shuttable = closed;
    const auto [normaliser, delta, rest, grad_total] = of;
    T *x = s.get(), *y = t.get();
    const T *costs = edge_cost.get(), *factors = keep.get(), *biases = biases_here;
    for (int64_t r = 0, i = 0; r < lanes.lines(edges); ++r) {
      for (int64_t w = 0; w < lanes.width; w += VL<T>, i += VL<T>) {
        const int64_t j = r * step + w;
        Vector<T> above = load(x + i) - load(normaliser + j), dp = load(y + i);
        if (Any && two) above -= load(rest + j);
        Vector<T> p = exponential<T>(above);
        if constexpr (Cost)
          if (!Any || c) dp = multiply_add(load(grad_total + j), load(costs + i), dp);
        const Vector<T> factor = Keep && (!Any || m) ? load(factors + i) : fill(T(1));
        if constexpr (Keep) dp = factor == T(0) ? Vector<T>{} : dp * factor;
        Vector<T> ds = p * (dp - load(delta + j));
        if constexpr (Keep) p *= factor;
        if (Any && shuttable) {
          const Bits<T> shut = load(biases + i) == CLOSED<T>;
          p = shut ? Vector<T>{} : p;
          ds = shut ? Vector<T>{} : ds;
        }
        store<T>(y + i, ds);
        store<T>(x + i, p);
      }
    }
  }

  void times(T* x, T factor, int64_t edges) const {
    for (int64_t i = 0; i < edges * lanes.stride; i += VL<T>) store<T>(x + i, load(x + i) * factor);
  }
};

}  // namespace graphcolumns
