"""Reads the part of proto3 that this project's .proto files use, without the protocol compiler."""

import re
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

_TOKEN = re.compile(r'"[^"]*"|[A-Za-z_][\w.]*|\d+|\S')
_SCALARS = ("string", "bytes", "bool", "uint32", "uint64", "int32", "int64")


def parse(path: Path, name: str) -> FileDescriptorProto:
    """The descriptor of a file imported as `name`; ValueError for what is not understood."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    return _Parser(_TOKEN.findall(text)).file(name)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]
        self._enums: set[str] = set()

    def _take(self, *wanted: str) -> str:
        token = self._tokens.pop()
        if wanted and token not in wanted:
            raise ValueError(f"{token!r} where one of {wanted} should be")
        return token

    def _next_is(self, token: str) -> bool:
        if self._tokens[-1] != token:
            return False
        self._tokens.pop()
        return True

    def file(self, name: str) -> FileDescriptorProto:
        file = FileDescriptorProto(name=name, syntax="proto3")
        self._expect('syntax = "proto3" ;')
        self._take("package")
        file.package = self._take()
        self._take(";")
        while self._tokens:
            match self._take("message", "enum", "service"):
                case "message":
                    file.message_type.append(self._message())
                case "enum":
                    file.enum_type.append(self._enum())
                case _:
                    file.service.append(self._service())
        self._resolve(file)
        return file

    def _expect(self, tokens: str) -> None:
        for token in tokens.split():
            self._take(token)

    def _body(self) -> Iterator[None]:
        self._take("{")
        while not self._next_is("}"):
            yield

    def _message(self) -> DescriptorProto:
        message = DescriptorProto(name=self._take())
        for _ in self._body():
            message.field.append(self._field(message))
        return message

    def _field(self, message: DescriptorProto) -> FieldDescriptorProto:
        label = FieldDescriptorProto.LABEL_OPTIONAL
        if self._next_is("map"):
            entry = self._map_entry()
            label, kind = FieldDescriptorProto.LABEL_REPEATED, entry.name
        else:
            if self._next_is("repeated"):
                label = FieldDescriptorProto.LABEL_REPEATED
            entry, kind = None, self._take()
        field = FieldDescriptorProto(name=self._take(), label=label)
        _set_type(field, kind)
        if entry is not None:
            entry.name = field.type_name = f"{_camel(field.name)}Entry"
            message.nested_type.append(entry)
        self._take("=")
        field.number = int(self._take())
        self._take(";")
        return field

    def _map_entry(self) -> DescriptorProto:
        entry = DescriptorProto(name="map")
        entry.options.map_entry = True
        self._take("<")
        for number, (name, end) in enumerate((("key", ","), ("value", ">")), start=1):
            field = entry.field.add(name=name, number=number, label=1)
            _set_type(field, self._take())
            self._take(end)
        return entry

    def _enum(self) -> EnumDescriptorProto:
        enum = EnumDescriptorProto(name=self._take())
        self._enums.add(enum.name)
        for _ in self._body():
            value = enum.value.add(name=self._take())
            self._take("=")
            value.number = int(self._take())
            self._take(";")
        return enum

    def _service(self) -> ServiceDescriptorProto:
        service = ServiceDescriptorProto(name=self._take())
        for _ in self._body():
            self._take("rpc")
            method = service.method.add(name=self._take())
            method.input_type, streaming_in = self._message_type()
            self._take("returns")
            method.output_type, streaming_out = self._message_type()
            self._take(";")
            if streaming_in:
                method.client_streaming = True
            if streaming_out:
                method.server_streaming = True
        return service

    def _message_type(self) -> tuple[str, bool]:
        self._take("(")
        streaming = self._next_is("stream")
        name = self._take()
        self._take(")")
        return name, streaming

    def _resolve(self, file: FileDescriptorProto) -> None:
        """Give every type its full name, as the compiler does."""
        root = f".{file.package}"
        for message in file.message_type:
            nested = {entry.name for entry in message.nested_type}
            for field in message.field:
                if field.type_name:
                    inside = f".{message.name}" if field.type_name in nested else ""
                    is_enum = field.type_name in self._enums
                    field.type = field.TYPE_ENUM if is_enum else field.TYPE_MESSAGE
                    field.type_name = f"{root}{inside}.{field.type_name}"
        for method in (method for service in file.service for method in service.method):
            method.input_type = f"{root}.{method.input_type}"
            method.output_type = f"{root}.{method.output_type}"


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    if kind in _SCALARS:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    else:
        field.type_name = kind


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
