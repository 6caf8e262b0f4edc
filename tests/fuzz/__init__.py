# SPDX-License-Identifier: Apache-2.0
"""Fuzzing harnesses: run one for as long as you like, ``python -m tests.fuzz.parser -max_total_time=600 CORPUS``."""
