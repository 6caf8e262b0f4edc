# SPDX-License-Identifier: Apache-2.0
"""The commands that talk to a daemon.  They use :mod:`congress.client` and are OpenStackClient's commands too."""
