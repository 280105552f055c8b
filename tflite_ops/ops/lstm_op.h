// SPDX-License-Identifier: Apache-2.0
// The TFLite face of TfpruneLSTM, an LSTM layer with sparse weights that keeps its state in variable tensors.
#ifndef TFPRUNE_OPS_LSTM_OP_H_
#define TFPRUNE_OPS_LSTM_OP_H_

#include "tensorflow/lite/core/c/common.h"

namespace tfprune {

bool IsTfpruneLstm(const char* custom_name);

// The registration of a delegate kernel that runs exactly one such op. Its `init` expects TfLiteDelegateParams whose
// delegate's `data_` is the SharedState.
TfLiteRegistration LstmOpRegistration();

// The same for interpreters that find ops by name, without a delegate.
TfLiteRegistration NamedLstmOpRegistration();

}  // namespace tfprune

#endif  // TFPRUNE_OPS_LSTM_OP_H_
