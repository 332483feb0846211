// The backward passes of one row: over targets (gradients of q, bias, cost), over sources (k, v).
#pragma once

#include "work.h"

namespace graphcolumns {

// A line that repeats the lanes of one row; -inf becomes 0, so that exp(-inf - lse) is 0.
template <class T> void repeat_lanes(const T* from, Lanes<T> lanes, T* to) {
  const int64_t end = lanes.stride < VL<T> ? lanes.width : lanes.count;
  for (int64_t i = 0; i < end; i += lanes.count) copy_lanes<T>(from, lanes.count, to + i);
}

template <class T> void finite_lanes(T* x, int64_t count) {
  constexpr T inf = std::numeric_limits<T>::infinity();
  for (int64_t i = 0; i < count; ++i) x[i] = x[i] == -inf ? T(0) : x[i];
}

template <class T> void multiply_lines(T* x, const T* line, Lanes<T> lanes, int64_t edges) {
  for (int64_t r = 0, i = 0; r < lanes.lines(edges); ++r)
    for (int64_t w = 0; w < lanes.width; w += VL<T>, i += VL<T>)
      store<T>(x + i, load(x + i) * load(line + w));
}

template <class T> void differentiate_target(Work<T>& work, Buffer<T>* line, int64_t i, bool add) {
  const Attention& a = work.a;
  const Lanes<T> lanes = work.lanes;
  const int64_t begin = a.rowptr[i], end = a.rowptr[i + 1];
  T *lse = line[0].get(), *delta = line[1].get(), *grad_total = line[2].get();
  const T *q = work.row(a.q, i, a.width), *grad_out = work.row(a.grad_out, i, a.value_width);
  T *to_delta = work.row(a.delta, i, 1), *grad_q = work.row(a.grad_q, i, a.width);

  const T* out = work.row(static_cast<const void*>(a.out), i, a.value_width);
  work.value_dots(grad_out, &out, 1, a.value_width, Lanes<T>(lanes), work.t.get());
  copy_lanes<T>(work.t.get(), lanes.count, to_delta);
  if (a.grad_lse)
    for (int64_t l = 0; l < lanes.count; ++l) to_delta[l] -= work.row(a.grad_lse, i, 1)[l];
  if (a.grad_total) {
    const T *grad = work.row(a.grad_total, i, 1), *total = work.row(a.total, i, 1);
    for (int64_t l = 0; l < lanes.count; ++l)
      to_delta[l] = multiply_add(grad[l], total[l], to_delta[l]);
    repeat_lanes(grad, lanes, grad_total);
  }
  repeat_lanes(to_delta, lanes, delta);
  repeat_lanes<T>(work.row(a.lse, i, 1), lanes, lse);
  finite_lanes(lse, lanes.width);

  if (begin == end) std::fill_n(grad_q, lanes.count * a.width, T(0));
  for (int64_t at = begin; at < end; at += work.block) {
    const int64_t edges = std::min(work.block, end - at);
    const auto id = [&](int64_t e) { return at + e; };
    for (int64_t e = 0; e < edges; ++e) {
      work.rows[e] = work.row(a.k, a.source[at + e], a.width);
      work.value_rows[e] = work.row(a.v, a.source[at + e], a.value_width);
    }
    work.value_dots(
        grad_out, work.value_rows.data(), edges, a.value_width, lanes, work.t.get());
    work.score(q, id, edges);
    work.prepare(id, edges);
    work.differentiate(lse, delta, grad_total, 0, edges);
    T *p = work.s.get(), *ds = work.t.get();
    if (a.grad_bias) {
      T* to = static_cast<T*>(a.grad_bias) + at * a.bias_values;
      add_lanes(ds, edges, lanes, a.bias_values, add, to);
    }
    if (a.grad_cost) {
      T* to = static_cast<T*>(a.grad_cost) + at * a.cost_values;
      multiply_lines(p, grad_total, lanes, edges);
      add_lanes(p, edges, lanes, a.cost_values, add, to);
    }
    work.times(ds, work.scale, edges);
    work.sums(work.rows.data(), ds, edges, a.width, lanes, at != begin, grad_q);
  }
}

// ---- Backward over sources

template <class T> void differentiate_source(Work<T>& work, Buffer<T>* lines, int64_t j) {
  const Attention& a = work.a;
  const Lanes<T> lanes = work.lanes;
  const int64_t begin = a.colptr[j], end = a.colptr[j + 1];
  T *lse = lines[0].get(), *delta = lines[1].get(), *grad_total = lines[2].get();
  T *grad_k = work.row(a.grad_k, j, a.width), *grad_v = work.row(a.grad_v, j, a.value_width);
  if (begin == end) {
    std::fill_n(grad_k, lanes.count * a.width, T(0));
    std::fill_n(grad_v, lanes.count * a.value_width, T(0));
  }
  for (int64_t at = begin; at < end; at += work.block) {
    const int64_t edges = std::min(work.block, end - at);
    const auto id = [&](int64_t e) { return a.csc_edge[at + e]; };
    for (int64_t e = 0; e < edges; ++e) {
      const int64_t i = a.csc_target[at + e], to = e * lanes.stride;
      work.rows[e] = work.row(a.q, i, a.width);
      work.value_rows[e] = work.row(a.grad_out, i, a.value_width);
      copy_lanes<T>(work.row(a.lse, i, 1), lanes.count, lse + to);
      copy_lanes<T>(work.row(a.delta, i, 1), lanes.count, delta + to);
      if (a.grad_total) copy_lanes<T>(work.row(a.grad_total, i, 1), lanes.count, grad_total + to);
    }
    finite_lanes(lse, edges * lanes.stride);
    const T *k = work.row(a.k, j, a.width), *v = work.row(a.v, j, a.value_width);
    work.value_dots(v, work.value_rows.data(), edges, a.value_width, lanes, work.t.get());
    work.score(k, id, edges);
    work.prepare(id, edges);
    work.differentiate(lse, delta, grad_total, lanes.width, edges);
    T *p = work.s.get(), *ds = work.t.get();
    work.times(ds, work.scale, edges);
    work.sums(work.rows.data(), ds, edges, a.width, lanes, at != begin, grad_k);
    work.value_sums(
        work.value_rows.data(), p, edges, a.value_width, lanes, at != begin, grad_v);
  }
}

}  // namespace graphcolumns
