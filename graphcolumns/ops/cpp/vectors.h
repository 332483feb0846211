// Short vectors of the width of this CPU: loads, stores, shuffles. Written with the vector
// extensions that GCC and Clang share; no sum depends on what a compiler makes of it.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#if !defined(__GNUC__)
#error "The kernels need the vector extensions of GCC or Clang."
#endif

#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

namespace graphcolumns {

template <class T> struct Types;

template <> struct Types<float> {
  typedef float Vector __attribute__((vector_size(VECTOR_BYTES)));
  typedef int32_t Bits __attribute__((vector_size(VECTOR_BYTES)));
  using Integer = int32_t;
};

template <> struct Types<double> {
  typedef double Vector __attribute__((vector_size(VECTOR_BYTES)));
  typedef int64_t Bits __attribute__((vector_size(VECTOR_BYTES)));
  using Integer = int64_t;
};

template <class T> using Vector = typename Types<T>::Vector;
template <class T> using Bits = typename Types<T>::Bits;
template <class T> constexpr int VL = VECTOR_BYTES / sizeof(T);  // numbers in a vector
template <class T> constexpr int QL = 16 / sizeof(T);            // numbers in a quarter: 128 bits

// Memory that starts where a cache line does: a vector never lies across two.
template <class T> struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U> Aligned(const Aligned<U>&) {}
  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T* numbers, size_t) { ::operator delete(numbers, std::align_val_t(64)); }
  bool operator==(const Aligned&) const { return true; }
  bool operator!=(const Aligned&) const { return false; }
};
template <class T> using Numbers = std::vector<T, Aligned<T>>;

template <class T> inline Vector<T> load(const T* from) {
  Vector<T> x;
  std::memcpy(&x, from, sizeof(x));
  return x;
}

template <class T> inline void store(T* to, Vector<T> x) { std::memcpy(to, &x, sizeof(x)); }

template <class T> inline Vector<T> fill(T x) { return x - Vector<T>{}; }  // x - 0 is x, also for -0

// ---- a b + c: rounded once where the CPU has an instruction for it, else twice; the same for a vector
// and for a number. Every sum of products is written with it, and compilers are told to fuse nothing
// themselves (-ffp-contract=off): they would do so in one tile and not in the next, and the bits of
// a row would depend on where it stands.

#if defined(__FMA__) && VECTOR_BYTES == 64
#define FUSED(SUFFIX, A, B, C) _mm512_fmadd_p##SUFFIX(A, B, C)
#elif defined(__FMA__) && VECTOR_BYTES == 32
#define FUSED(SUFFIX, A, B, C) _mm256_fmadd_p##SUFFIX(A, B, C)
#elif defined(__FMA__)
#define FUSED(SUFFIX, A, B, C) _mm_fmadd_p##SUFFIX(A, B, C)
#endif

#if defined(FUSED)
inline Vector<float> multiply_add(Vector<float> a, Vector<float> b, Vector<float> c) {
  return FUSED(s, a, b, c);
}
inline Vector<double> multiply_add(Vector<double> a, Vector<double> b, Vector<double> c) {
  return FUSED(d, a, b, c);
}
#undef FUSED
#elif defined(__aarch64__)
inline Vector<float> multiply_add(Vector<float> a, Vector<float> b, Vector<float> c) {
  return vfmaq_f32(c, a, b);
}
inline Vector<double> multiply_add(Vector<double> a, Vector<double> b, Vector<double> c) {
  return vfmaq_f64(c, a, b);
}
#else
inline Vector<float> multiply_add(Vector<float> a, Vector<float> b, Vector<float> c) {
  return a * b + c;
}
inline Vector<double> multiply_add(Vector<double> a, Vector<double> b, Vector<double> c) {
  return a * b + c;
}
#endif

#if defined(__FMA__) || defined(__aarch64__)
inline float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
inline float multiply_add(float a, float b, float c) { return a * b + c; }
inline double multiply_add(double a, double b, double c) { return a * b + c; }
#endif

// ---- Shuffles: `At::at(i)` says where number i comes from; those of `b` count from VL.

template <class T, class At, int... I>
inline Vector<T> shuffle_(Vector<T> a, Vector<T> b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, At::at(I)...);
#else
  return __builtin_shuffle(a, b, Bits<T>{At::at(I)...});
#endif
}

template <class T, class At> inline Vector<T> shuffle(Vector<T> a, Vector<T> b) {
  return shuffle_<T, At>(a, b, std::make_integer_sequence<int, VL<T>>{});
}

// The even or the odd numbers, pairs of numbers, or quarters, of a and b, as the instructions that
// need no index vector take them.
template <class T, int Odd> struct Interleave {  // within quarters: a0 b0 a1 b1, or a2 b2 a3 b3
  static constexpr int at(int i) {
    constexpr int q = QL<T>;
    return i / q * q + i % q / 2 + Odd * (q / 2) + i % 2 * VL<T>;
  }
};
template <class T, int Odd> struct InterleavePairs {  // within quarters of four: a0 a1 b0 b1, or ..
  static constexpr int at(int i) { return i / 4 * 4 + i % 2 + Odd * 2 + i % 4 / 2 * VL<T>; }
};
template <class T, int Odd> struct Quarters {  // the even or odd quarters of a, then those of b
  static constexpr int at(int i) {
    constexpr int q = QL<T>, half = VL<T> / 2;
    return i % half / q * 2 * q + Odd * q + i % q + i / half * VL<T>;
  }
};

template <class T, template <class, int> class Half>
inline Vector<T> add_halves(Vector<T> a, Vector<T> b) {
  return shuffle<T, Half<T, 0>>(a, b) + shuffle<T, Half<T, 1>>(a, b);
}

// The sum of all numbers, always added in the same order.
template <class T> inline T sum_of(Vector<T> x) {
  T parts[VL<T>];
  store<T>(parts, x);
  for (int half = VL<T> / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
  return parts[0];
}

}  // namespace graphcolumns
