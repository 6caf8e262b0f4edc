# SPDX-License-Identifier: Apache-2.0
"""What Pecan 1.8 must do differently for this API, in one place.

**Argument inspection.**  Pecan asks for the signature of a controller up to seven times a request, and each time
``pecan.compat.getargspec`` makes a new named-tuple *class*: 0.47 of the 0.57 ms of a REST request.  Signatures do not
change, so :func:`install` puts a cached version over the places that hold the function.  This is a replacement of
another library's function, the only one in this program: it is done once, explicitly, by ``make_application``, and
:func:`is_installed` says so to the test that compares both versions.

**Empty bodies.**  Pecan looks into every body of a 200 response to turn an empty one into 204.  For that it splits a
generator with ``itertools.tee``, whose result has no ``close()``: a stream is then not closed when its client goes
away, and any other iterator is read to its end before the headers go out.  The controllers here say their status
themselves, so :class:`Application` leaves bodies alone.

**Finding controllers.**  Pecan walks the attributes of controller objects by the segments of the path, picks a
representation by ``Accept``, and fills arguments from the query and the body, which it parses by rules of its own
(``/v1/policies/_lookup`` is then a method, a body nested too deep a 500, a foreign ``Accept`` a 406 in HTML).  The
router of :mod:`congress.api.routing` knows the paths, and the front has read the rest before Pecan is called.  So
:class:`Application` asks the router.  Hooks run as always: ``on_route``, ``before``, ``after``, ``on_error``.

**Imports.**  Pecan loads every template engine that it finds, and Mako then Pygments: 40 ms of each start for pages
that this API does not have.  While Pecan is imported here, they are not found.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from inspect import Arguments, ismethod
from typing import Any


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Have imports of these modules fail in the block, as where they are not installed; not those loaded already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: the documented way to make imports fail
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without("genshi", "jinja2", "kajiki", "pygments"):
    import pecan.core
    import pecan.decorators
    import pecan.rest
    import pecan.routing
    import pecan.util
    import webob

_original: Callable[[Any], Any] = pecan.util.getargspec
_HOLDERS = (pecan.util, pecan.core, pecan.routing, pecan.rest, pecan.decorators)


_cached = lru_cache(maxsize=4096)(_original)


def getargspec(method: Any) -> Any:
    """What Pecan's own function returns, looked up once for each function."""
    # Bound methods are new objects on each access; their function is not, and "self" is in its signature too.
    return _cached(method.__func__ if ismethod(method) else method)


def install() -> None:
    """Put the cached function in Pecan's place.  Doing it twice does nothing."""
    for module in _HOLDERS:
        module.getargspec = getargspec


def is_installed() -> bool:
    """Whether Pecan uses the cached function everywhere."""
    return all(module.getargspec is getargspec for module in _HOLDERS)


class NoResponse:
    """What a controller is given to fill: none needs it, as all of them return a response."""

    status_int = 200


class Application(pecan.core.ExplicitPecan):  # type: ignore[misc]  # pecan has no types
    """Pecan with controllers found by a function, explicit arguments, and bodies left alone."""

    def __init__(self, find: Callable[[webob.Request], tuple[Any, list[str]]], **more: Any) -> None:
        """
        :param find: gives the controller for a request, and the arguments that come from its path.
        :param more: ``hooks``, as Pecan takes them.
        """
        super().__init__(object(), request_cls=webob.Request, response_cls=NoResponse, **more)
        self._find = find

    def find_controller(self, state: Any) -> tuple[Any, list[Any], dict[str, Any]]:
        self.handle_hooks(self.hooks, "on_route", state)
        state.controller, remainder = self._find(state.request)
        arguments = [state.request, state.response, *remainder]
        state.arguments = Arguments(arguments, [], {})  # type: ignore[arg-type]  # values, as Pecan has them
        self.handle_hooks(self.determine_hooks(state.controller), "before", state)
        return state.controller, arguments, {}

    def _handle_empty_response_body(self, state: Any) -> None:
        if state.response.status_int in (204, 304):
            state.response.content_type = None
