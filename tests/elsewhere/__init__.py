# SPDX-License-Identifier: Apache-2.0
"""Files as other tools write them: made by the tools themselves, converted and compared."""
