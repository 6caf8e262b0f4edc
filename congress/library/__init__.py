# SPDX-License-Identifier: Apache-2.0
"""The policy library: policies to take and adapt, kept in the database, first filled from files."""
