# SPDX-License-Identifier: Apache-2.0
"""The shapes of the API's answers, a module a resource; the OpenAPI document and the reference are made of them."""
