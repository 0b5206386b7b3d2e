"""What a model accepts at each of its places: the keys, the kinds of a union, the limits.

Reads the annotations of pydantic models; knows nested models, mappings, lists, unions told apart by a `kind`,
and the limits of `Annotated`, which is all that the language is made of.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scenarios.reading.node import KeyPath, Node

ITEM = "*"
"""Stands in a path for any item of a list or any name of a mapping."""


class Form(NamedTuple):
    """One alternative of what may stand somewhere.

    Attributes:
        type: a model class, `tuple[...]`, `dict[...]`, `Literal[...]` or a scalar type.
        limits: constraints of `Annotated`, such as `Ge(0)`.
    """

    type: Any
    limits: tuple[Any, ...] = ()

    @property
    def origin(self) -> Any:
        """What `typing.get_origin` says of the type: `tuple`, `dict`, `Literal`, or None for a class."""
        return get_origin(self.type)

    @property
    def is_model(self) -> bool:
        """True for a model class."""
        return isinstance(self.type, type) and issubclass(self.type, BaseModel)

    @property
    def is_mapping(self) -> bool:
        """True where a mapping of keys may stand."""
        return self.is_model or self.origin is dict


@dataclass(frozen=True)
class Slot:
    """A place in a model.

    Attributes:
        forms: what may stand there, None aside; several for a union.
        field: the field of a model whose value stands there; None for items and for the top.
    """

    forms: tuple[Form, ...]
    field: FieldInfo | None = None

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """The models among the forms."""
        return tuple(form.type for form in self.forms if form.is_model)

    @property
    def keys(self) -> dict[str, FieldInfo]:
        """Every key of every model that may stand here."""
        return {key: field for model in self.models for key, field in keys(model).items()}

    @property
    def tag(self) -> str | None:
        """The key, such as `kind`, that tells the models of a union apart; None when it has none."""
        if len(self.models) < 2:
            return None
        first, *others = (keys(model) for model in self.models)
        return next((key for key in first if all(_is_tag(fields.get(key)) for fields in (first, *others))), None)

    @property
    def tags(self) -> tuple[Any, ...]:
        """The values of the tag, in the order of the models."""
        tag = self.tag
        return () if tag is None else tuple(v for model in self.models for v in get_args(keys(model)[tag].annotation))

    def of_kind(self, value: object) -> Slot:
        """The place with only those models left whose tag has this value; unchanged when there is none."""
        tag = self.tag
        if tag is None:
            return self
        chosen = {model for model in self.models if value in get_args(keys(model)[tag].annotation)}
        return Slot(tuple(form for form in self.forms if form.type in chosen), self.field) if chosen else self

    def fitting(self, node: Node | None) -> Slot:
        """The place with the forms left that what stands there can mean: by its tag, else by its shape."""
        content = node.content if node else None
        if isinstance(content, dict):
            tag = content.get(self.tag or "")
            kept = tuple(form for form in self.forms if form.is_mapping)
            return Slot(kept or self.forms, self.field).of_kind(tag.node.content if tag else None)
        if isinstance(content, tuple):
            kept = tuple(form for form in self.forms if form.origin in (tuple, list))
            return Slot(kept or self.forms, self.field)
        return self

    def below(self, part: str | int) -> Slot:
        """The place one step further, of a key or of an item; without forms when none has it."""
        forms: list[Form] = []
        field = self.keys.get(str(part)) if not isinstance(part, int) else None
        if field is not None:
            forms.extend(_forms(field.annotation, tuple(field.metadata)))
        for form in self.forms:
            item = _item_type(form, part)
            forms.extend(() if item is None else _forms(item))
        return Slot(tuple(forms), field)

    @property
    def names(self) -> Slot:
        """The place of the keys themselves, where a mapping takes only some names."""
        kinds = [get_args(form.type)[0] for form in self.forms if form.origin is dict]
        return Slot(tuple(form for kind in kinds for form in _forms(kind)))


def top(model: type[BaseModel]) -> Slot:
    """Return the place of the whole document."""
    return Slot((Form(model),))


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the key they have in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def homes(model: type[BaseModel], key: str) -> Iterator[tuple[KeyPath, str]]:
    """Yield every place that may hold `key`: its path, with `ITEM` for items, and its kind if it has one."""
    yield from _homes(top(model), (), key, ())


def _homes(slot: Slot, path: KeyPath, key: str, above: tuple[Any, ...]) -> Iterator[tuple[KeyPath, str]]:
    tag = slot.tag
    for form in slot.forms:
        if form.is_model and form.type not in above:
            fields = keys(form.type)
            if key in fields:
                yield path, f"{tag}: {get_args(fields[tag].annotation)[0]}" if tag else ""
            for name in fields:
                inner = Slot((form,)).below(name)
                yield from _homes(inner, (*path, name), key, (*above, form.type))
        elif (item := _item_type(form, 0)) is not None:
            yield from _homes(Slot(tuple(_forms(item))), (*path, ITEM), key, above)


def _forms(annotation: Any, limits: tuple[Any, ...] = ()) -> Iterator[Form]:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        flat = [m for item in metadata for m in (item.metadata if isinstance(item, FieldInfo) else [item])]
        yield from _forms(inner, (*limits, *flat))
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _forms(option, limits)
    elif annotation is not types.NoneType:
        yield Form(annotation, limits)


def _item_type(form: Form, part: str | int) -> Any:
    arguments = get_args(form.type)
    origin = form.origin
    if origin is dict:
        return arguments[1]
    if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
        return arguments[0] if isinstance(part, int) else None
    if origin is tuple and isinstance(part, int) and part < len(arguments):
        return arguments[part]
    return None


def _is_tag(field: FieldInfo | None) -> bool:
    return field is not None and get_origin(field.annotation) is Literal
