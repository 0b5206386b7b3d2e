"""From a location of pydantic to a place in the file: its path, what stands there, what may stand there."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel

from scenarios.reading.node import KeyPath, Node, at
from scenarios.reading.shape import Slot, top


class Spot(NamedTuple):
    """What a location of pydantic means in the file.

    Attributes:
        path: keys and indices alone, without the members of unions that pydantic names between them.
        slot: what the model accepts there; no forms for a key it does not know.
        holder: what it accepts one step above.
        about_key: the key itself is meant, not its value.
        node: what stands there, or None.
        holder_node: what stands one step above.
    """

    path: KeyPath
    slot: Slot
    holder: Slot
    about_key: bool
    node: Node | None
    holder_node: Node | None


def locate(loc: tuple[int | str, ...], root: Node, model: type[BaseModel]) -> Spot:
    """Return what a location of pydantic means in a document of the model."""
    path: KeyPath = ()
    slot = holder = top(model)
    member_named = about_key = False
    for part in loc:
        here = slot.fitting(at(root, path))
        leads_on = bool(here.below(part).forms) or at(root, (*path, part)) is not None
        if part == "[key]":
            slot, about_key = holder.names, True
        elif not leads_on or (len(slot.forms) > 1 and not member_named):
            member_named = True  # pydantic names the member of the union that it tried
        else:
            path, slot, holder, member_named = (*path, part), here.below(part), here, False
    return Spot(path, slot, holder, about_key, at(root, path), at(root, path[:-1]))
