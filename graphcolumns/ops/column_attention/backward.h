// The backward passes of one row: over targets (gradients of q, bias, cost), over sources (k, v).
#pragma once

#include <cmath>

#include "work.h"

namespace graphcolumns {

// A line that repeats the lanes of one row.
template <class T> void repeat_lanes(const T* from, Lanes<T> lanes, T* to) {
  const int64_t end = lanes.stride < VL<T> ? lanes.width : lanes.count;
  for (int64_t i = 0; i < end; i += lanes.count) copy_lanes<T>(from, lanes.count, to + i);
}

template <class T> bool is_finite(const T* x, int64_t count) {
  T sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i] - x[i];
  return sum == T(0);
}

template <class T> void multiply_lines(T* x, const T* line, Lanes<T> lanes, int64_t edges) {
  for (int64_t r = 0, i = 0; r < lanes.lines(edges); ++r)
    for (int64_t w = 0; w < lanes.width; w += VL<T>, i += VL<T>)
      store<T>(x + i, load(x + i) * load(line + w));
}

// Up to here the two parts of a normaliser are added: the sum is off by half a unit of 16 at most.
constexpr int SMALL = 8;

// What both passes know of column i, a row of a.state: normaliser, delta, rest of the normaliser.
template <class T> T* state_row(const Work<T>& work, int64_t i) {
  return static_cast<T*>(work.a.state) + 3 * i * work.all + work.first;
}

// Writes the normaliser and its rest to the state and, as lines, to `normaliser` and `rest`. Tells
// whether there is a rest. A column that receives nothing has a log_mass of -inf; 0 in its place, so
// that exp(-inf - 0) is 0.
template <class T> bool write_normaliser(Work<T>& work, int64_t i, T* normaliser, T* rest) {
  const Attention& a = work.a;
  const Lanes<T> lanes = work.lanes;
  repeat_lanes<T>(work.row(static_cast<const void*>(a.highest), i, 1), lanes, normaliser);
  repeat_lanes<T>(work.row(static_cast<const void*>(a.log_mass), i, 1), lanes, rest);
  Vector<T> apart{};
  for (int64_t w = 0; w < lanes.width; w += VL<T>) {
    const Vector<T> highest = load(normaliser + w), log_mass = load(rest + w);
    const Vector<T> log = log_mass == CLOSED<T> ? Vector<T>{} : log_mass;
    const Bits<T> small = (highest <= T(SMALL)) & (highest >= T(-SMALL));
    store<T>(normaliser + w, small ? highest + log : highest);
    store<T>(rest + w, small ? Vector<T>{} : log);
    apart = small ? apart : fill<T>(1);
  }
  T* to = state_row(work, i);
  copy_lanes<T>(normaliser, lanes.count, to);
  copy_lanes<T>(rest, lanes.count, to + 2 * work.all);
  return fold<T>(apart, 1, larger<T>)[0] != T(0);
}

template <class T> void write_delta(Work<T>& work, int64_t i) {
  const Attention& a = work.a;
  const int64_t count = work.lanes.count;
  const T* grad_out = work.row(a.grad_out, i, a.value_width);
  const T* out = work.row(static_cast<const void*>(a.out), i, a.value_width);
  T* delta = state_row(work, i) + work.all;
  work.value_dots(grad_out, &out, 1, a.value_width, Lanes<T>(work.lanes), work.t.get());
  copy_lanes<T>(work.t.get(), count, delta);
  if (a.grad_lse)
    for (int64_t l = 0; l < count; ++l) delta[l] -= work.row(a.grad_lse, i, 1)[l];
  if (a.grad_total) {
    const T *grad = work.row(a.grad_total, i, 1), *total = work.row(a.total, i, 1);
    for (int64_t l = 0; l < count; ++l) delta[l] = multiply_add(grad[l], total[l], delta[l]);
  }
}

template <class T> void differentiate_target(Work<T>& work, Buffer<T>* line, int64_t i, bool add) {
  const Attention& a = work.a;
  const Lanes<T> lanes = work.lanes;
  const int64_t begin = a.rowptr[i], end = a.rowptr[i + 1];
  const T *q = work.row(a.q, i, a.width), *grad_out = work.row(a.grad_out, i, a.value_width);
  T *grad_q = work.row(a.grad_q, i, a.width), *grad_total = line[3].get();

  work.apart = write_normaliser(work, i, line[0].get(), line[2].get());
  write_delta(work, i);
  repeat_lanes<T>(state_row(work, i) + work.all, lanes, line[1].get());
  if (a.grad_total) repeat_lanes(work.row(a.grad_total, i, 1), lanes, grad_total);
  const typename Work<T>::Target target{line[0].get(), line[1].get(), line[2].get(), grad_total};
  work.centre_biases(begin, end);

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
    work.score(q, id, edges, true);
    work.prepare(id, edges);
    work.differentiate(target, 0, edges);
    T *p = work.s.get(), *ds = work.t.get();
    if (a.grad_bias) {
      T* to = static_cast<T*>(a.grad_bias) + at * a.bias_values;
      add_lanes(ds, edges, lanes, a.bias_values, add, to);
    }
    if (a.grad_cost) {
      T* to = static_cast<T*>(a.grad_cost) + at * a.cost_values;
      multiply_lines(p, grad_total, lanes, edges);
      work.silence(p, edges);
      add_lanes(p, edges, lanes, a.cost_values, add, to);
    }
    work.times(ds, work.scale, edges);
    if (work.closed) work.silence_rows(work.rows, edges, a.width, false);
    work.sums(work.rows.data(), ds, edges, a.width, lanes, at != begin, grad_q);
  }
}

// ---- Backward over sources

template <class T>
void differentiate_source_(Work<T>& work, Buffer<T>* lines, int64_t j, bool dropped) {
  const Attention& a = work.a;
  const Lanes<T> lanes = work.lanes;
  const int64_t begin = a.colptr[j], end = a.colptr[j + 1];
  const typename Work<T>::Target target{
      lines[0].get(), lines[1].get(), lines[2].get(), lines[3].get()};
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
      const T* state = state_row(work, i);
      copy_lanes<T>(state, lanes.count, lines[0].get() + to);
      copy_lanes<T>(state + work.all, lanes.count, lines[1].get() + to);
      if (work.apart) copy_lanes<T>(state + 2 * work.all, lanes.count, lines[2].get() + to);
      if (a.grad_total)
        copy_lanes<T>(work.row(a.grad_total, i, 1), lanes.count, lines[3].get() + to);
    }
    const T *k = work.row(a.k, j, a.width), *v = work.row(a.v, j, a.value_width);
    work.value_dots(v, work.value_rows.data(), edges, a.value_width, lanes, work.t.get());
    work.score(k, id, edges, false);
    work.prepare(id, edges);
    work.differentiate(target, lanes.width, edges);
    T *p = work.s.get(), *ds = work.t.get();
    if (work.closed) work.silence_rows(work.rows, edges, a.width, false);
    if (work.closed || dropped)
      work.silence_rows(work.value_rows, edges, a.value_width, dropped);
    work.times(ds, work.scale, edges);
    work.sums(work.rows.data(), ds, edges, a.width, lanes, at != begin, grad_k);
    work.value_sums(
        work.value_rows.data(), p, edges, a.value_width, lanes, at != begin, grad_v);
  }
}

template <class T> void differentiate_source(Work<T>& work, Buffer<T>* lines, int64_t j) {
  const int64_t width = work.a.value_width;
  differentiate_source_(work, lines, j, false);
  if (work.a.dropout > 0 && !is_finite(work.row(work.a.grad_v, j, width), work.lanes.count * width))
    differentiate_source_(work, lines, j, true);
}

}  // namespace graphcolumns
