"""Keys about rekeys: which key exchange a child admits, and the extensions of IKE about them."""

from pathlib import Path

import pytest

from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.daemon.config import DaemonConfig
from p4esp.ike.config import ChildKe


def parsed(child=None, **extensions):
    peer = {
        "name": "east",
        "local_id": "west.example",
        "remote_id": "east.example",
        "psk": "correct horse",
        "extensions": extensions,
        "children": [
            {"name": "net", "local": ["10.1.0.0/16"], "remote": ["10.2.0.0/16"], **(child or {})}
        ],
    }
    file = {"peers": [peer], "experimental": extensions.pop("experimental", False)}
    (section,) = parse_file(DaemonConfig, file, "test.toml", Path()).peers
    return section.config()


@pytest.mark.parametrize("kind", list(ChildKe))
def test_a_child_says_which_key_exchange_it_admits(kind):
    (child,) = parsed({"key_exchange": kind.value}).children
    assert child.ke is kind


def test_unsaid_it_is_that_of_its_proposals():
    (child,) = parsed().children
    assert child.ke is ChildKe.LISTED


def test_another_word_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"listed.*ike.*optional.*none"):
        parsed({"key_exchange": "sometimes"})


@pytest.mark.parametrize("name", ["pfs_info", "optimized_rekey"])
def test_the_extensions_take_the_switch_for_what_is_no_standard(name):
    assert getattr(parsed(experimental=True, **{name: True}).extensions, name)
    with pytest.raises(ConfigError, match=f"extensions.{name} is experimental"):
        parsed(**{name: True})
