# SPDX-License-Identifier: Apache-2.0
"""Every linear operator as one of tfprune's two: expanded matrices, and the stock ops round them."""
