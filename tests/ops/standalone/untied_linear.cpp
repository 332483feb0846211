// One linear map per column: every shape class, and rows alone against rows among others.

#include "../../../graphcolumns/ops/untied_linear/kernel.cpp"

#include "checks.h"

namespace standalone {
namespace {

using graphcolumns::Batches;

constexpr int64_t COLUMNS = 2;

template <class T> struct Map {
  int64_t batch, in, out;
  std::vector<T> x, y, weight, bias;

  Map(Random& random, int64_t batch, int64_t in, int64_t out)
      : batch(batch), in(in), out(out), x(random.numbers<T>(COLUMNS * batch * in)),
        y(random.numbers<T>(COLUMNS * batch * out)), weight(random.numbers<T>(COLUMNS * in * out)),
        bias(random.numbers<T>(COLUMNS * out)) {}

  // Rows [first, first + rows) of the batch; `steps` cuts all rows into so many steps.
  UntiedLinear arguments(const Batches* x, const Batches* y, const T* weight, const T* bias) const {
    return {x, y, const_cast<T*>(weight), const_cast<T*>(bias), 1, COLUMNS, batch, in, out};
  }

  Batches rows_of(const std::vector<T>& all, int64_t width, int64_t first) const {
    return {const_cast<T*>(all.data()) + first * width, batch * width, width};
  }

  Output<T> forward(int64_t first, int64_t rows) const {
    Output<T> to(COLUMNS * rows * out);
    const Batches from = rows_of(x, in, first), into{to.data(), rows * out, out};
    UntiedLinear a = arguments(&from, &into, weight.data(), bias.data());
    a.batch = rows;
    check((sizeof(T) == 4 ? untied_linear_forward_float32 : untied_linear_forward_float64)(&a) == 0,
          "memory");
    return to;
  }

  Output<T> transposed(int64_t first, int64_t rows) const {
    Output<T> to(COLUMNS * rows * in);
    const Batches from = rows_of(y, out, first), into{to.data(), rows * in, in};
    UntiedLinear a = arguments(&into, &from, weight.data(), nullptr);
    a.batch = rows;
    check((sizeof(T) == 4 ? untied_linear_transposed_float32
                          : untied_linear_transposed_float64)(&a) == 0, "memory");
    return to;
  }

  void gradient(int64_t steps, Output<T>& to_weight, Output<T>& to_bias) const {
    const int64_t rows = batch / steps;
    std::vector<Batches> xs, ys;
    for (int64_t t = 0; t < steps; ++t) {
      xs.push_back(rows_of(x, in, t * rows));
      ys.push_back(rows_of(y, out, t * rows));
    }
    UntiedLinear a = arguments(xs.data(), ys.data(), to_weight.data(), to_bias.data());
    a.steps = steps, a.batch = rows;
    check((sizeof(T) == 4 ? untied_linear_gradient_float32 : untied_linear_gradient_float64)(&a) ==
          0, "memory");
  }
};

template <class T> void check_values(const Map<T>& map, const std::string& what, Bits& bits) {
  const int64_t B = map.batch, I = map.in, O = map.out;
  std::vector<double> y(COLUMNS * B * O), x(COLUMNS * B * I), w(COLUMNS * I * O), b(COLUMNS * O);
  for (int64_t n = 0; n < COLUMNS; ++n)
    for (int64_t r = 0; r < B; ++r)
      for (int64_t o = 0; o < O; ++o) {
        const double arriving = map.y[(n * B + r) * O + o];
        double& sum = y[(n * B + r) * O + o] = map.bias[n * O + o];
        b[n * O + o] += arriving;
        for (int64_t i = 0; i < I; ++i) {
          const double left = map.x[(n * B + r) * I + i], right = map.weight[(n * I + i) * O + o];
          sum += left * right;
          x[(n * B + r) * I + i] += arriving * right;
          w[(n * I + i) * O + o] += left * arriving;
        }
      }
  Output<T> forward = map.forward(0, B), transposed = map.transposed(0, B);
  Output<T> weight(COLUMNS * I * O), bias(COLUMNS * O);
  map.gradient(1, weight, bias);
  check_near(forward, y, what + " forward");
  check_near(transposed, x, what + " transposed");
  check_near(weight, w, what + " gradient of the weights");
  check_near(bias, b, what + " gradient of the bias");
  for (Output<T>* all : {&forward, &transposed, &weight, &bias}) bits.add(all->data(), all->size());
  if (B % 4 != 0) return;
  Output<T> weight_of_steps(COLUMNS * I * O), bias_of_steps(COLUMNS * O);
  map.gradient(4, weight_of_steps, bias_of_steps);
  check_bits(weight_of_steps.data(), weight.data(), weight.size(), what + " weights over steps");
  check_bits(bias_of_steps.data(), bias.data(), bias.size(), what + " bias over steps");
}

// Rows of a part have the bits that they have in the whole.
template <class T> void check_rows(const Map<T>& map, const std::string& what) {
  const int64_t B = map.batch;
  Output<T> y = map.forward(0, B), x = map.transposed(0, B);
  const auto compare = [&](Output<T>& part, Output<T>& whole, int64_t first, int64_t rows,
                           int64_t width, const std::string& pass) {
    for (int64_t n = 0; n < COLUMNS; ++n)
      check_bits(part.data() + n * rows * width, whole.data() + (n * B + first) * width,
                 rows * width, what + pass + " bits of " + std::to_string(rows) + " rows");
  };
  for (const int64_t rows : {1, 2, 7, 8, 9, 16, 17, 25, 33})
    for (int64_t first = 0; first + rows <= B; first += 13) {
      Output<T> part = map.forward(first, rows);
      compare(part, y, first, rows, map.out, " forward");
      if (rows == 1) continue;  // a batch of one has a way of its own
      part = map.transposed(first, rows);
      compare(part, x, first, rows, map.in, " transposed");
    }
}

template <class T> void check_threads(Random& random) {
  const Map<T> map(random, 9, 250, 130);
  Output<T> first = map.forward(0, 9), firstx = map.transposed(0, 9);
  at_any_number_of_threads([&] {
    check_bits(map.forward(0, 9).data(), first.data(), first.size(), "untied threads");
    check_bits(map.transposed(0, 9).data(), firstx.data(), firstx.size(), "untied threads");
  });
}

template <class T> void check_all(Bits& bits) {
  Random random{1};
  for (const int64_t out : {1, 3, 5, 8, 13, 64, 100})
    for (const int64_t in : {1, 8, 19, 64}) {
      const std::string what = name_of<T>() + " untied_linear " + std::to_string(in) + " to " +
                               std::to_string(out);
      for (const int64_t batch : {1, 3, 12}) check_values(Map<T>(random, batch, in, out), what, bits);
      check_rows(Map<T>(random, 40, in, out), what);
    }
  check_threads<T>(random);
}

}  // namespace

void check_untied_linear(Bits& bits) {
  check_all<float>(bits);
  check_all<double>(bits);
}

}  // namespace standalone
