# SPDX-License-Identifier: Apache-2.0
"""The bus: services as actors, unicast calls between them, and tables published as snapshots and deltas.

What others use: :class:`congress.bus.bus.Bus`, :class:`congress.bus.service.Service` with
:func:`congress.bus.service.exposed`, :class:`congress.bus.publisher.TablePublisher`,
:class:`congress.bus.subscriber.Subscriber`, the errors of :mod:`congress.bus.errors`, and
:func:`congress.bus.codec.portable` for classes of one's own that travel.
"""
