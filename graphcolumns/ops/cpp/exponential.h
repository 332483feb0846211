// exp and log of vectors, to about one unit in the last place.
#pragma once

#include <limits>

#include "vectors.h"

namespace graphcolumns {

template <class T> struct Exponential;

template <> struct Exponential<float> {
  static constexpr int degree = 7, mantissa = 23, bias = 127;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
  static constexpr float lowest = -87.33654f, highest = 89.0f;
  static constexpr float ln2_high = 0.693145751953125f, ln2_low = 1.42860682030941723212e-6f;
};

template <> struct Exponential<double> {
  static constexpr int degree = 13, mantissa = 52, bias = 1023;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double lowest = -708.396418532264, highest = 710.0;
  static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
};

constexpr double inverse_factorial(int n) { return n == 0 ? 1.0 : inverse_factorial(n - 1) / n; }

template <class T, int... N>
inline Vector<T> taylor(Vector<T> r, std::integer_sequence<int, N...>) {
  constexpr int degree = sizeof...(N) - 1;
  Vector<T> sum = fill<T>(T(inverse_factorial(degree)));
  ((sum = N == 0 ? sum : multiply_add(sum, r, fill(T(inverse_factorial(degree - N))))), ...);
  return sum;
}

// e^x to about one unit in the last place; 0 where it would be denormal, NaN for NaN.
template <class T> inline Vector<T> exponential(Vector<T> x) {
  using C = Exponential<T>;
  Vector<T> clamped = x < C::lowest ? fill<T>(C::lowest) : x;
  clamped = clamped > C::highest ? fill<T>(C::highest) : clamped;
  const Vector<T> shifted = multiply_add(clamped, fill(T(1.4426950408889634)), fill(C::magic));
  const Vector<T> n = shifted - C::magic;
  Vector<T> r = multiply_add(n, fill(-C::ln2_high), clamped);
  r = multiply_add(n, fill(-C::ln2_low), r);
  const Vector<T> sum = taylor<T>(r, std::make_integer_sequence<int, C::degree + 1>{});
  Bits<T> bits;  // the exponent n stands in the low bits of `shifted`
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits + C::bias) << C::mantissa;
  Vector<T> power;
  std::memcpy(&power, &bits, sizeof(power));
  return x < C::lowest ? Vector<T>{} : sum * power;
}

// log x for x >= 0 that is no denormal number; NaN for NaN.
template <class T> inline Vector<T> logarithm(Vector<T> x) {
  using C = Exponential<T>;
  using I = typename Types<T>::Integer;
  Bits<T> bits;
  std::memcpy(&bits, &x, sizeof(bits));
  // As if counted from sqrt(1/2): the mantissa comes to lie in [sqrt(1/2), sqrt(2)).
  constexpr I root = sizeof(T) == 4 ? I(0x3f3504f3) : I(0x3fe6a09e667f3bcdLL);
  const Bits<T> exponent = (bits - root) >> C::mantissa;
  bits = bits - (exponent << C::mantissa);
  Vector<T> m;
  std::memcpy(&m, &bits, sizeof(m));
  const Vector<T> s = (m - T(1)) / (m + T(1)), z = s * s;  // log m = 2 artanh s
  constexpr int terms = sizeof(T) == 4 ? 6 : 12;
  Vector<T> sum = fill<T>(T(1) / (2 * terms - 1));
  for (int k = terms - 2; k >= 0; --k) sum = multiply_add(sum, z, fill(T(1) / (2 * k + 1)));
  const Vector<T> e = __builtin_convertvector(exponent, Vector<T>);
  const Vector<T> low = multiply_add(e, fill(C::ln2_low), T(2) * s * sum);
  const Vector<T> result = multiply_add(e, fill(C::ln2_high), low);
  constexpr T inf = std::numeric_limits<T>::infinity();
  const Vector<T> special = x == T(0) ? fill<T>(-inf) : x;
  return (x > T(0)) & (x < inf) ? result : special;
}

}  // namespace graphcolumns
