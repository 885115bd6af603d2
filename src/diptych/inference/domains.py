"""Domains by the names that a user writes."""

from __future__ import annotations

from collections.abc import Sequence

from diptych.data.names import nfc
from diptych.errors import InputError, nearest, option


def domain_index(domains: Sequence[str], name: object, *, owner: str) -> int:
    """The place of `name` among `domains`; `owner` is what the message calls their knower.

    Raises:
        InputError: it is none of them.
    """
    for index, domain in enumerate(domains):
        if domain == name or (isinstance(name, str) and nfc(domain) == nfc(name)):
            return index
    close = nearest(name, domains)
    way_out = f"this {owner} knows {', '.join(domains)}"
    raise InputError(f"no domain {name!r}: {f'did you mean {close!r}?' if close else way_out}")


def only_target(domains: Sequence[str], source: str | None) -> str:
    """The one domain that there is to go to, from `source` if it is given.

    Raises:
        InputError: there are several.
    """
    others = [domain for domain in domains if domain != source]
    if len(others) == 1:
        return others[0]
    raise InputError(f"which domain? Give {' or '.join(option('to', one) for one in others)}")


def shown(domains: Sequence[str], mark: str, most: int = 6) -> str:
    """Names in a line, with `mark` between two; of very many, the first and how many."""
    if len(domains) > most:
        return f"{', '.join(domains[: most - 1])}, … ({len(domains)} domains)"
    return (mark if len(domains) == 2 else ", ").join(domains)
