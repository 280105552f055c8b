// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "tflite_ops/kernels/lstm/lstm.h"

namespace tfprune {
namespace {

double SigmoidOne(double x) { return 1.0 / (1.0 + exp(-x)); }

// Where exp(-2 |x|) - 1 would lose digits, two terms of the series are exact to those of a float.
double TanhOne(double x) {
  if (fabs(x) < 1e-4) return x * (1.0 - x * x / 3.0);
  const double e = exp(-2.0 * fabs(x)), y = (1.0 - e) / (1.0 + e);
  return x < 0.0 ? -y : y;
}

void Sigmoid(const float* x, size_t count, float* y) {
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<float>(SigmoidOne(double{x[i]}));
}

void Tanh(const float* x, size_t count, float* y) {
  for (size_t i = 0; i < count; ++i) y[i] = static_cast<float>(TanhOne(double{x[i]}));
}

void Cell(const LstmCellArgs& a) {
  for (size_t j = 0; j < a.units; ++j) {
    double z[4];
    for (size_t gate = 0; gate < 4; ++gate) {
      const size_t i = gate * a.units + j;
      z[gate] = double{a.from_input[i]} + double{a.from_state[i]};
    }
    double c = SigmoidOne(z[1]) * double{a.cell[j]} + SigmoidOne(z[0]) * TanhOne(z[2]);
    if (a.cell_clip > 0.0f) {
      const double clip = double{a.cell_clip};
      c = c > clip ? clip : c < -clip ? -clip : c;
    }
    a.cell[j] = static_cast<float>(c);
    a.hidden[j] = a.out[j] = static_cast<float>(SigmoidOne(z[3]) * TanhOne(c));
  }
}

}  // namespace

LstmKernels ReferenceLstmKernels() { return {"lstm/reference", Cell, Sigmoid, Tanh}; }

}  // namespace tfprune
