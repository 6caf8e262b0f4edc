# SPDX-License-Identifier: Apache-2.0
"""The steps from an empty database to the newest shape.  A step that was released is never edited."""
