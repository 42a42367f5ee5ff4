from __future__ import annotations

import pytest
from tapkit.auth import BearerAuth
from tapkit.client import Client
from tapkit.errors import ConfigValidationError
from tapkit.files.places import Files, LocalPlace
from tapkit.files.web import WebPlace
from tapkit.sources import KINDS, open_source
from tapkit.writer import encode_lines


def test_each_kind_opens_its_source() -> None:
    assert set(KINDS) == {"api", "database", "file"}
    assert isinstance(open_source("api", "https://a.example", BearerAuth("x")), Client)
    assert open_source("database", "sqlite://").dialect.name == "sqlite"
    files = open_source("file")
    assert isinstance(files, Files)
    assert isinstance(files.place("data/*.csv"), LocalPlace)
    assert isinstance(files.place("HTTPS://a.example/x.csv"), WebPlace)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigValidationError, match="'queue' is no kind of source; known are api"):
        open_source("queue")


def test_many_values_are_encoded_as_one_is() -> None:
    values = [{"a": "x\ny\u2028\x1c\x85"}, {"a": "\ud800"}, {"a": 1}]
    assert encode_lines(values[:1]) == [b'{"a":"x\\ny\xe2\x80\xa8\\u001c\xc2\x85"}']
    assert encode_lines(values)[1:] == [b'{"a":"\\ud800"}', b'{"a":1}']
