# SPDX-License-Identifier: Apache-2.0
"""For those who come from tf_keras (Keras 2) and the TensorFlow Model Optimization Toolkit, TFMOT.

Nothing else of tfprune imports these modules or what they import: importing TFMOT sets ``TF_USE_LEGACY_KERAS`` for the
whole process.
"""
