# SPDX-License-Identifier: Apache-2.0
"""``.. declared-guard:: policy`` (or ``service``): every setting of the guard, from what it says of itself."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.executions.settings import MODES, POLICY, SERVICE, Mode, PolicyGuard, ServiceGuard, Setting, to_dict

KINDS = {POLICY: PolicyGuard, SERVICE: ServiceGuard}


def settings_text(kind: str) -> Iterator[str]:
    """A definition for each setting of policies or services, in the order in which they are declared."""
    defaults = to_dict(KINDS[kind]())
    for one in fields(KINDS[kind]):
        setting: Setting = one.metadata["setting"]
        yield f"``{one.name}``"
        yield f"    {setting.meaning}"
        if setting.kind is Mode:
            yield ""
            yield from (f"    * ``{mode}``: {meaning}" for mode, meaning in MODES.items())
        yield ""
        yield f"    {_takes(setting)} Default: {_shown(defaults[one.name], setting)}."
        yield ""


def _takes(setting: Setting) -> str:
    if setting.kind is Mode:
        return "One of these words."
    words = setting.wanted.replace("null (", "``null`` (")
    unit = f" Unit: {setting.unit}." if setting.unit else ""
    return f"{words[:1].upper()}{words[1:]}.{unit}"


def _shown(value: object, setting: Setting) -> str:
    if value is None:
        return f"``null``, {setting.null}"
    return f"``{str(value).lower() if isinstance(value, bool) else value}``"


class GuardSettings(Declared):
    source = "declared-guard"

    def lines(self) -> Iterable[str]:
        return settings_text(self.arguments[0])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(GuardSettings.source, GuardSettings)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
