// SPDX-License-Identifier: Apache-2.0
// The LSTM cell with the vectors of the instruction set that the including file is compiled for. An ISA file includes
// this once, in its own namespace and an unnamed one inside it, so code built with different compiler flags never
// meets in the linker.
//
// No include guard on purpose.

#if defined(__AVX512F__)
constexpr size_t kLanes = 16;
#elif defined(__AVX__)
constexpr size_t kLanes = 8;
#else
constexpr size_t kLanes = 4;
#endif

typedef float Vector __attribute__((vector_size(4 * kLanes)));
typedef int32_t Integers __attribute__((vector_size(4 * kLanes)));

#define TFPRUNE_LSTM_INLINE inline __attribute__((always_inline))

TFPRUNE_LSTM_INLINE Vector Load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

TFPRUNE_LSTM_INLINE void Store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof v); }

TFPRUNE_LSTM_INLINE Vector LoadSome(const float* p, size_t count) {
  Vector v = {};
  __builtin_memcpy(&v, p, count * sizeof(float));
  return v;
}

TFPRUNE_LSTM_INLINE void StoreSome(float* p, Vector v, size_t count) { __builtin_memcpy(p, &v, count * sizeof(float)); }

// A NaN passes through.
TFPRUNE_LSTM_INLINE Vector AtLeast(Vector v, float low) { return v < low ? Vector{} + low : v; }
TFPRUNE_LSTM_INLINE Vector AtMost(Vector v, float high) { return v > high ? Vector{} + high : v; }

TFPRUNE_LSTM_INLINE Vector Magnitude(Vector v) { return (Vector)((Integers)v & 0x7FFFFFFF); }

// exp(y) = scale * (1 + rest) for y in [-87, 0]: y = n ln(2) + r with whole n and |r| <= ln(2) / 2, scale = 2^n and
// rest = exp(r) - 1 by its series, whose first term left out is below 2^-26 of the result.
struct Exponential {
  Vector scale, rest;
};
TFPRUNE_LSTM_INLINE Exponential Exp(Vector y) {
  // Adding 1.5 * 2^23 rounds to whole numbers, which then stand in the low bits.
  const float kRound = 12582912.0f, kLog2E = 1.44269504f;
  // ln(2) in two parts; the first has few enough bits that its product with n is exact.
  const float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const Vector sum = y * kLog2E + kRound;
  const Vector n = sum - kRound;
  const Vector r = (y - n * kLn2High) - n * kLn2Low;
  Vector series = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  // 0x4B400000 is 1.5 * 2^23; 127 is the bias of a float's exponent.
  const Integers power = ((Integers)sum - 0x4B400000 + 127) << 23;
  return {(Vector)power, series * (r * r) + r};
}

// 1 / (1 + e) or e / (1 + e) with e = exp(-|x|).
TFPRUNE_LSTM_INLINE Vector Sigmoid(Vector x) {
  const Exponential exp = Exp(AtLeast(-Magnitude(x), -87.0f));
  const Vector e = exp.scale * exp.rest + exp.scale;
  return (x < 0.0f ? e : Vector{} + 1.0f) / (e + 1.0f);
}

// -t / (t + 2) with t = exp(-2 |x|) - 1, which keeps its digits where x is small; and the sign of x.
TFPRUNE_LSTM_INLINE Vector Tanh(Vector x) {
  const Exponential exp = Exp(AtLeast(Magnitude(x) * -2.0f, -40.0f));
  const Vector t = exp.scale * exp.rest + (exp.scale - 1.0f);
  const Vector y = -t / (t + 2.0f);
  return (Vector)((Integers)y | ((Integers)x & (Integers{} + INT32_MIN)));
}

struct CellState {
  Vector cell, hidden;
};
TFPRUNE_LSTM_INLINE CellState Step(const Vector (&z)[4], Vector cell, float clip) {
  Vector c = Sigmoid(z[1]) * cell + Sigmoid(z[0]) * Tanh(z[2]);
  if (clip > 0.0f) c = AtMost(AtLeast(c, -clip), clip);
  return {c, Sigmoid(z[3]) * Tanh(c)};
}

inline void Cell(const LstmCellArgs& a) {
  size_t j = 0;
  Vector z[4];
  for (; j + kLanes <= a.units; j += kLanes) {
#pragma GCC unroll 4
    for (size_t gate = 0; gate < 4; ++gate) {
      z[gate] = Load(a.from_input + gate * a.units + j) + Load(a.from_state + gate * a.units + j);
    }
    const CellState state = Step(z, Load(a.cell + j), a.cell_clip);
    Store(a.cell + j, state.cell);
    Store(a.hidden + j, state.hidden);
    Store(a.out + j, state.hidden);
  }
  if (j == a.units) return;
  const size_t left = a.units - j;
  for (size_t gate = 0; gate < 4; ++gate) {
    z[gate] = LoadSome(a.from_input + gate * a.units + j, left) + LoadSome(a.from_state + gate * a.units + j, left);
  }
  const CellState state = Step(z, LoadSome(a.cell + j, left), a.cell_clip);
  StoreSome(a.cell + j, state.cell, left);
  StoreSome(a.hidden + j, state.hidden, left);
  StoreSome(a.out + j, state.hidden, left);
}

template <Vector (*kFunction)(Vector)>
void Apply(const float* x, size_t count, float* y) {
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(y + i, kFunction(Load(x + i)));
  if (i < count) StoreSome(y + i, kFunction(LoadSome(x + i, count - i)), count - i);
}

inline LstmKernels KernelsNamed(const char* name) { return {name, Cell, Apply<Sigmoid>, Apply<Tanh>}; }
