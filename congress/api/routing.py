# SPDX-License-Identifier: Apache-2.0
"""Routes: declared at their handlers, found by a tree of path segments.

A handler is a method of a controller class under :func:`route`; it takes the :class:`~congress.api.call.Call` and the
path's parameters and returns a JSON value (status 200, or the one declared) or a WebOb response.  The decorator makes
it a Pecan controller, which :class:`~congress.api.pecan_cures.Application` finds through :class:`Router`.

All routes are known to :class:`Router` before the first request, so the reference, the authorisation and the tests
walk the same list that serves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final

import pecan
import webob

from congress.api.auth.names import Access, access_of, checked, rule_of
from congress.api.call import Call
from congress.api.encoding import JSON, line
from congress.api.errors import ApiError
from congress.api.schema import Parameter, Schema, check_query
from congress.api.shapes import Shape

CALL_KEY: Final = "congress.call"


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: what it is called, what it takes and what it answers."""

    method: str
    path: str  # "/v1/policies/{policy}"
    summary: str
    aliases: Sequence[str] = ()  # the same operation under older paths
    action: str = ""  # the value of ?action= that selects it
    query: Mapping[str, Parameter] = field(default_factory=dict)
    body: Schema | None = None
    body_optional: bool = False
    status: int = 200
    answer: Shape | None = None  # the JSON of the answer
    others: Mapping[str, Shape] = field(default_factory=dict)  # by content type, where a client asks for it
    statuses: Mapping[int, Shape] = field(default_factory=dict)  # other statuses that are no errors, with their JSON
    errors: Sequence[int] = ()
    notes: str = ""
    rule: str = ""  # the rule of the authorisation; by default what follows from method, path and action
    access: Access | str = ""  # who passes it by default; by default what follows from the rule

    def __post_init__(self) -> None:
        rule = checked(self.rule or rule_of(self.method, self.path, self.action))
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "access", Access(self.access or access_of(rule, self.method)))

    @property
    def operation(self) -> str:
        """A stable name for metrics and logs: few values, however many policies there are."""
        return f"{self.method} {self.path}" + (f"?action={self.action}" if self.action else "")


def route(method: str, path: str, summary: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the handler of one operation; the other arguments are the fields of :class:`Route`."""
    declared = Route(method, path, summary, **more)

    def decorate(handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def controller(self: object, request: webob.Request, response: object, *parameters: str) -> webob.Response:
            call: Call = request.environ[CALL_KEY]
            call.operation = declared.operation
            call.admit(declared, parameters)
            _admit(declared, call)
            return respond(declared, handler(self, call, *parameters))

        controller.route = declared  # type: ignore[attr-defined]  # read by Router
        exposed: Callable[..., Any] = pecan.expose(content_type="application/json")(controller)
        return exposed

    return decorate


def _admit(declared: Route, call: Call) -> None:
    """Check the query and the body of a call by what the route declares."""
    query = {name: values for name, values in call.query.items() if not (declared.action and name == "action")}
    call.parameters = check_query(declared.query, query)
    if declared.body is None:
        return
    if declared.body_optional and not call.raw_body.strip():
        call.body = None
    else:
        # Actions were always taken whatever the body called itself: ``curl -d`` alone must do.
        call.body = declared.body.check(call.json(any_type=bool(declared.action)), "")


def respond(declared: Route, result: Any) -> webob.Response:
    """The response for what a handler returned."""
    if isinstance(result, webob.Response):
        return result
    if declared.status == 204:
        return webob.Response(status=204, content_type=None)
    return json_response(result, declared.status)


def json_response(value: object, status: int = 200) -> webob.Response:
    """A response with a JSON body."""
    return webob.Response(body=line(value), status=status, headerlist=[("Content-Type", JSON)])


@dataclass(frozen=True, slots=True)
class Target:
    """A handler and what it declared."""

    route: Route
    handler: Callable[..., Any]


@dataclass(slots=True)
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    targets: dict[str, dict[str, Target]] = field(default_factory=dict)  # by method, then by action


class Router:
    """The tree of all routes."""

    def __init__(self, controllers: Iterable[object]) -> None:
        self._root = _Node()
        self.targets: list[Target] = []
        for controller in controllers:
            for name in vars(type(controller)):
                declared = getattr(getattr(type(controller), name), "route", None)
                if isinstance(declared, Route):
                    target = Target(declared, getattr(controller, name))
                    self.targets.append(target)
                    for path in (declared.path, *declared.aliases):
                        self._add(path, target)
        self._check_access()

    @property
    def routes(self) -> list[Route]:
        """What all of them declare."""
        return [target.route for target in self.targets]

    def _add(self, path: str, target: Target) -> None:
        node = self._root
        for segment in filter(None, path.split("/")):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        by_action = node.targets.setdefault(target.route.method, {})
        if target.route.action in by_action:
            raise ValueError(f"{target.route.operation} is declared twice")
        by_action[target.route.action] = target

    def _check_access(self) -> None:
        known: dict[str, Route] = {}
        for declared in self.routes:
            other = known.setdefault(declared.rule, declared)
            if other.access != declared.access:
                raise ValueError(f"{other.operation} and {declared.operation} have one rule but differ in its access")

    def find(self, method: str, path: str, actions: Sequence[str]) -> tuple[Target, list[str]]:
        """The handler and the values of the path's parameters.

        :raises ApiError: 404 for a path that is nothing, 405 with ``Allow`` for a method it does not have, 400 for
            an ``?action=`` it does not have.
        """
        # "/v1/" is how the version links itself; no other path ends with a slash.
        segments = ["v1"] if path == "/v1/" else [] if path in ("", "/") else path.removeprefix("/").split("/")
        found = next(self._walk(self._root, segments, []), None)
        if found is None:
            raise ApiError(404, f"There is nothing at {path[:200]}.")
        node, values = found
        by_action = node.targets.get("GET" if method == "HEAD" else method)
        if by_action is None:
            allow = allowed(node.targets)
            message = f"The method {method[:40]} is not allowed here; allowed: {allow}."
            raise ApiError(405, message, headers={"Allow": allow})
        if "" in by_action:
            return by_action[""], values
        names = ", ".join(sorted(by_action))
        if len(actions) != 1:
            raise ApiError(400, f"One query parameter action= must be given; it can be {names}.")
        if actions[0] not in by_action:
            raise ApiError(400, f"There is no action {actions[0]!r:.80} here; there are {names}.")
        return by_action[actions[0]], values

    def _walk(self, node: _Node, rest: list[str], values: list[str]) -> Iterator[tuple[_Node, list[str]]]:
        if not rest:
            if node.targets:
                yield node, values
            return
        segment, rest = rest[0], rest[1:]
        if segment in node.literal:
            yield from self._walk(node.literal[segment], rest, values)
        if node.parameter is not None and segment:
            yield from self._walk(node.parameter, rest, [*values, segment])


def allowed(methods: Iterable[str]) -> str:
    """The value of an ``Allow`` header."""
    return ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
