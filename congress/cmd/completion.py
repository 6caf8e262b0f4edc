# SPDX-License-Identifier: Apache-2.0
"""Completion for zsh, beside cliff's own for bash: ``congress complete --shell zsh``.

The script is data and one function: the words that may follow each command's words.
"""

from collections.abc import Sequence
from typing import Final

from cliff.complete import CompleteShellBase

_HEAD: Final = """\
#compdef {name}
# Save it as _{name} in a folder of $fpath, or: source <({name} complete --shell zsh)
_{function}() {{
  local -A follow=(
"""
_TAIL: Final = """\
  )
  local word key=''
  local -a words_left=(${{words[2,CURRENT-1]}})
  for word in $words_left; do
    [[ $word == -* ]] && break
    [[ -n ${{follow[${{key:+$key }}$word]+set}} ]] || break
    key="${{key:+$key }}$word"
  done
  local -a next=(${{=follow[$key]}})
  if [[ $PREFIX == -* ]]; then
    compadd -- ${{(M)next:#-*}}
  elif [[ -n ${{next:#-*}} ]]; then
    compadd -- ${{next:#-*}}
  else
    _files
  fi
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _{function} "$@"
else
  compdef _{function} {name}
fi
"""


class CompleteZsh(CompleteShellBase):  # type: ignore[misc]  # cliff has no type information
    """Found by cliff under the entry-point group ``cliff.formatter.completion``."""

    def get_header(self) -> str:
        return _HEAD.format(name=self.name, function=self.escaped_name)

    def get_trailer(self) -> str:
        return _TAIL.format(name=self.name, function=self.escaped_name)

    def write(self, cmdo: str, data: Sequence[tuple[str, str]]) -> None:
        """Called once with the first words, and with those that follow each command (words joined by ``_``)."""
        self.output.write(self.get_header())
        for words, following in [("", cmdo), *data]:
            self.output.write(f"    '{words.replace('_', ' ')}' '{following}'\n")
        self.output.write(self.get_trailer())
