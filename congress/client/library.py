# SPDX-License-Identifier: Apache-2.0
"""The library: policies to choose from, which do nothing until one is made a policy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from congress.client.models import Resource, Rule
from congress.client.policies import RuleLike, rule_body
from congress.client.transport import Transport, path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPolicy(Resource):
    """A policy of the library; ``depends_on`` names the services that its rules read."""

    id: str = ""
    name: str = ""
    abbreviation: str = ""
    description: str = ""
    kind: str = ""
    depends_on: Sequence[str] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "rules": tuple(Rule.of(rule) for rule in given.get("rules") or ()),
            "depends_on": tuple(given.get("depends-on") or ()),
        }


class Library:
    """``cloud.library``.  ``cloud.policies.create(library_policy=...)`` makes a policy of one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, include_rules: bool = False, **query: Any) -> Iterator[LibraryPolicy]:
        """The policies of the library.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``name="BadFlavors"``.
        """
        asked = {**query, "include_rules": include_rules}
        return self._transport.listed("/v1/librarypolicies", LibraryPolicy.of, asked)

    def get(self, library_policy: str) -> LibraryPolicy:
        """One policy of the library.

        :raises NotFound: there is none such.
        """
        return LibraryPolicy.of(self._transport.get(path_of("librarypolicies", library_policy)))

    def create(self, name: str, rules: Iterable[RuleLike], **more: Any) -> LibraryPolicy:
        """Put a policy into the library.

        :param more: ``description``, ``kind``, ``abbreviation``.
        """
        body = {"name": name, "rules": [rule_body(rule) for rule in rules], **more}
        return LibraryPolicy.of(self._transport.post("/v1/librarypolicies", body))

    def delete(self, library_policy: str) -> LibraryPolicy:
        """Take a policy out of the library.

        :returns: the policy as it was.
        """
        return LibraryPolicy.of(self._transport.request("DELETE", path_of("librarypolicies", library_policy)))
