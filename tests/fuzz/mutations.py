"""Samples damaged as files get damaged, and as somebody would write them who wants to do harm."""

import copy
import json

from hypothesis import strategies as st

# What has broken readers before: signs of the formats, numbers at the edge, names that lead out.
TOKENS = [
    *(
        b"",
        b"\0",
        b"\n",
        b"\r",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b",",
        b";",
        b":",
        b" ",
        b"\t",
        b'"',
        b"'",
    ),
    *(b"-1", b"0", b"-0", b"1.5", b"1e999", b"-1e999", b"nan", b"NaN", b"inf", b"Infinity", b"0x10", b"1_000"),
    *(
        b"2147483648",
        b"9223372036854775808",
        b"9" * 400,
        b"9" * 5000,
        b"\xd9\xa3",
        b"\xc2\xb2",
        b"1:30",
        b"2001-02-30",
    ),
    *(b"{", b"}", b"[", b"]", b"{}", b"[]", b"[" * 50, b"[" * 20_000, b'{"a":' * 20_000, b"null", b"true", b"~"),
    *(b"../", b"/etc/passwd", b"..\\", b"%2e%2e", b"\x1b[2J", b"a" * 300, b"a" * 70_000),
    *(b"<", b">", b"&", b"&x;", b"<a>", b"</", b"<!--", b"<![CDATA[", b"<!DOCTYPE a [", b"<?xml "),
    *(b"&a ", b"*a", b"!!int ''", b"!!float x", b"!!bool x", b"!!timestamp x", b"!!binary x", b"!!set x", b"- "),
    *(b"!!python/name:os.system", b"? ", b"|\n", b"cos\nsystem\n", b"R", b".", b"\x80\x05", b"\x8c", b"PK\x03\x04"),
]
VALUES = [
    *(None, True, False, 0, -1, 1.5, 10**400, -(2**63), 2**31, 1e308, "", "a", "\0", "../a", "9" * 5000, "\ud800"),
    *([], {}, [[]], [None], [1, 2], {"a": 1}, [[[[1]]]], "nan", "1e999", "\x1b[2J"),
]


def mutated(sample: bytes) -> st.SearchStrategy[bytes]:
    """`sample` with one to six changes: bytes flipped, parts cut, doubled or moved, tokens put in."""
    return st.lists(_change(sample), min_size=1, max_size=6).map(lambda changes: _apply(sample, changes))


def _change(sample):
    # Half of the places are near the beginning, where headers are.
    place = st.one_of(st.integers(0, len(sample)), st.integers(0, min(len(sample), 64)))
    length = st.one_of(st.integers(1, 8), st.integers(1, max(1, len(sample))))
    kinds = st.sampled_from(["flip", "cut", "double", "put", "put", "replace", "end", "lines"])
    return st.tuples(kinds, place, length, st.integers(0, 255), st.sampled_from(TOKENS))


def _apply(data, changes):
    for kind, place, length, value, token in changes:
        part = data[place : place + length]
        if kind == "flip":
            data = data[:place] + bytes(byte ^ (value or 1) for byte in part[:8]) + data[place + len(part[:8]) :]
        elif kind == "cut":
            data = data[:place] + data[place + length :]
        elif kind == "double":
            data = data[:place] + part + part + data[place + length :]
        elif kind == "put":
            data = data[:place] + token + data[place:]
        elif kind == "replace":  # a word or number
            end = next((at for at in range(place, len(data)) if data[at : at + 1] in b" ,;:\n\"'<>[]{}"), len(data))
            data = data[:place] + token + data[end:]
        elif kind == "end":
            data = data[:place]
        elif kind == "lines":
            lines = data.split(b"\n")
            first, second = value % len(lines), place % len(lines)
            lines[first], lines[second] = lines[second], lines[first]
            data = b"\n".join(lines)
    return data


def rewritten(sample: bytes) -> st.SearchStrategy[bytes]:
    """The JSON `sample` with one to three of its values or keys exchanged for odd ones: JSON still."""
    change = st.tuples(
        st.integers(0, 10**6), st.sampled_from(["value", "value", "remove", "add"]), st.sampled_from(VALUES)
    )
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: _rewrite(sample, changes))


def _rewrite(sample, changes):
    root = [json.loads(sample)]
    for number, kind, odd in changes:
        value = copy.deepcopy(odd)
        places = list(_places(root))
        holder, key = places[number % len(places)]
        if kind == "value" or holder is root:
            holder[key] = value
        elif kind == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[str(value)[:20]] = value
        else:
            holder.insert(key, value)
    return json.dumps(root[0]).encode()


def _places(holder):
    """Every (mapping or list, key) in `holder`, however deep."""
    waiting = [holder]
    while waiting:
        each = waiting.pop()
        for key in list(each) if isinstance(each, dict) else range(len(each)):
            yield each, key
            if isinstance(each[key], dict | list):
                waiting.append(each[key])
