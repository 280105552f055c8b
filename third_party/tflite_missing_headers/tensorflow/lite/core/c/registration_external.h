// SPDX-License-Identifier: Apache-2.0
// TFLite's C headers include it for ops of another form, which nothing here uses; its Android package does not have it.
#ifndef TENSORFLOW_LITE_CORE_C_REGISTRATION_EXTERNAL_H_
#define TENSORFLOW_LITE_CORE_C_REGISTRATION_EXTERNAL_H_

typedef struct TfLiteRegistrationExternal TfLiteRegistrationExternal;

#endif  // TENSORFLOW_LITE_CORE_C_REGISTRATION_EXTERNAL_H_
