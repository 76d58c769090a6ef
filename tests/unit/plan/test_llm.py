# ruff: noqa: E501  (a row of a table stays on one line)
"""Planning by a local language model, against a real server that behaves well, badly and worse."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from studio.plan import PlanOptions, plan_song
from studio.plan.llm import Server, plan_with_llm
from studio.plan.llm_server import LARGEST_ANSWER, is_near
from studio.song import Key, SongError, Timeline

GOOD: dict[str, Any] = {
    "title": "Glass Rivers",
    "bpm": 101.5,
    "key": "E minor",
    "meter": "3/4",
    "style": "rock",
    "stems": {"bass": "picked bass with a plectrum"},
    "sections": [
        {"kind": "verse", "bars": 8, "energy": 0.4, "chords": ["Em", "C G", "Am7", "B7"], "lyrics": "one\ntwo", "prompt": "dry"},
        {"kind": "chorus", "bars": 4, "energy": 0.9, "chords": ["C", "D", "Em", "Em"]},
    ],
}  # fmt: skip
Reply = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(reply: Reply, timeout: float = 5.0) -> Iterator[tuple[Server, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            try:
                reply(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{http.server_port}/v1", "tiny", timeout), asked
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def chat(content: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


def says(content: Any) -> Reply:
    return lambda handler: send(handler, chat(content))


def first_choice(plan: Any) -> str:
    return str(plan.choices[0])


def test_a_sound_answer_becomes_the_plan() -> None:
    with server(says(json.dumps(GOOD))) as (where, asked):
        plan = plan_with_llm("a song for my mother", where)
    song = plan.song
    assert first_choice(plan).startswith("planned by: the language model")
    assert (song.title, song.key, str(song.meter), song.style) == ("Glass Rivers", Key("E", "minor"), "3/4", "rock")
    assert song.tempo[0].bpm == Decimal("101.5")
    assert [(s.kind, s.bars, s.energy) for s in song.sections] == [("verse", 8, 0.4), ("chorus", 4, 0.9)]
    assert song.sections[0].lyrics == "one\ntwo"
    verse = [str(span.chord) for span in song.sections[0].chords]
    assert verse == ["Em", "C", "G", "Am7", "B7"] * 2
    assert song.sections[0].chords[-1].end == Timeline(song).spans[0].beats
    assert song.stem("bass").prompt == "picked bass with a plectrum"
    assert {choice.what for choice in plan.choices if choice.source == "llm"} >= {
        "tempo",
        "key",
        "meter",
        "style",
        "form",
    }
    assert asked[0]["model"] == "tiny"
    assert asked[0]["messages"][1]["content"] == "a song for my mother"


def test_lyrics_go_to_the_models_sections_and_are_named_where_it_has_none() -> None:
    with server(says(json.dumps(GOOD))) as (where, _):
        plan = plan_with_llm("a song\n[Chorus]\nmine\n[Bridge]\nforgotten", where)
    assert [section.lyrics for section in plan.song.sections] == ["one\ntwo", "mine"]
    left_out = [str(choice) for choice in plan.choices if choice.what == "lyrics left out"]
    assert left_out == ["lyrics left out: the song has no bridge 1 (llm: 'forgotten')"]


def test_what_words_and_options_state_stands() -> None:
    with server(says(json.dumps(GOOD))) as (where, _):
        plan = plan_with_llm("at 140 bpm in C major", where, PlanOptions(style="house", title="Mine"))
    song = plan.song
    assert (song.tempo[0].bpm, song.key, song.style, song.title) == (140, Key("C", "major"), "house", "Mine")
    # The model's chords are in E minor: in C major the rules' own are played.
    assert str(song.sections[1].chords[-1].chord).startswith("C")
    assert "B7" not in [str(span.chord) for span in song.sections[0].chords]


def test_instruments_that_the_words_name_or_refuse_stand() -> None:
    answer = {**GOOD, "stems": {"harmony": "warm grand piano", "bass": "round bass"}}
    with server(says(json.dumps(answer))) as (where, _):
        song = plan_with_llm("with organ, no piano, no drums in the verse", where).song
    assert song.stem("harmony").prompt == "warm grand piano, organ, no piano"
    assert song.stem("bass").prompt == "round bass"
    assert song.sections[0].prompt == "dry, no drums"
    assert song.sections[1].prompt == ""


def test_a_plan_that_the_options_rule_out_leaves_it_to_the_rules() -> None:
    """The pickup fits the rules' bar of four beats, and not the model's of three."""
    options = PlanOptions(style="house", pickup=Fraction(3))
    with server(says(json.dumps(GOOD))) as (where, _):
        plan = plan_with_llm("a song", where, options)
    assert "shorter than the first bar (3/4)" in first_choice(plan)
    assert plan.song == plan_song("a song", options).song


@pytest.mark.parametrize(
    "wrap", ["Sure! Here is your plan:\n```json\n{}\n```\nEnjoy {{this}}!", "<think>{{a: 1}} hm</think>{}", " {}"]
)
def test_talk_around_the_object_is_passed_over(wrap: str) -> None:
    with server(says(wrap.replace("{}", json.dumps(GOOD), 1).replace("{{", "{").replace("}}", "}"))) as (where, _):
        assert first_choice(plan_with_llm("a song", where)).startswith("planned by: the language model")


def spoiled(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def section(**changes: Any) -> str:
    return spoiled(sections=[{**GOOD["sections"][0], **changes}])


BAD: dict[str, tuple[Reply, str]] = {
    "babble": (says("I am a song, la la la { la"), "JSON object"),
    "other object": (says('{"answer": 42}'), "JSON object"),
    "deep": (says("[" * 100 + '{"sections":' * 5000), "JSON object"),
    "NaN": (says(spoiled(bpm=float("nan"))), "JSON object"),
    "empty": (says(""), "without words"),
    "content is a number": (says(7), "without words"),
    "not JSON at all": (lambda handler: send(handler, b"<html>hello</html>"), "chat format"),
    "other JSON": (lambda handler: send(handler, b"[1, 2]"), "chat format"),
    "not text": (lambda handler: send(handler, b"\xff\xfe\x00"), "chat format"),
    "error 500": (lambda handler: send(handler, b"{}", 500), "500"),
    "error 404": (lambda handler: send(handler, b"", 404), "404"),
    "redirect": (lambda handler: send(handler, b"", 302, Location="http://127.0.0.1:1/"), "302"),
    "huge": (lambda handler: send(handler, b" " * 10_000_000), f"more than {LARGEST_ANSWER}"),
    "cut off": (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), "model server"),
    "not HTTP": (lambda handler: handler.wfile.write(b"\x00\x01\x02\r\n\r\n"), "model server"),
    "tempo 0": (says(spoiled(bpm=0)), "20 to 400"),
    "tempo true": (says(spoiled(bpm=True)), "bpm"),
    "tempo list": (says(spoiled(bpm=[120])), "bpm"),
    "key": (says(spoiled(key="H flat")), "key"),
    "key of another type": (says(spoiled(key={"tonic": "C"})), "key"),
    "meter": (says(spoiled(meter="13/7")), "13/7"),
    "style": (says(spoiled(style="../../etc/passwd")), "style"),
    "stems": (says(spoiled(stems={"kazoo": "x"})), "kazoo"),
    "stem prompt": (says(spoiled(stems={"bass": "x" * 301})), "300"),
    "no sections": (says(spoiled(sections=[])), "sections"),
    "sections text": (says(spoiled(sections="verse chorus")), "sections"),
    "too many sections": (says(spoiled(sections=GOOD["sections"] * 21)), "1 to 40"),
    "a section text": (says(spoiled(sections=["verse"])), "section 1"),
    "kind": (says(section(kind="solo")), "solo"),
    "bars": (says(section(bars=10_000)), "bars"),
    "bars 0": (says(section(bars=0)), "bars"),
    "bars text": (says(section(bars="8")), "bars"),
    "energy": (says(section(energy=7)), "energy"),
    "chord": (says(section(chords=["Hm"])), "chord"),
    "chord type": (says(section(chords=[1])), "chords"),
    "chords": (says(section(chords=["C"] * 9)), "chords"),
    "five in a bar": (says(section(chords=["C D E F G"])), "1 to 4"),
    "lyrics": (says(section(lyrics="la" * 2000)), "lyrics"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_answer_leaves_the_plan_to_the_rules_and_says_why(name: str) -> None:
    reply, reason = BAD[name]
    with server(reply) as (where, _):
        plan = plan_with_llm("a song", where)
    assert plan.song == plan_song("a song").song
    assert first_choice(plan).startswith("planned by: rules")
    assert reason in first_choice(plan)
    assert "\n" not in first_choice(plan)


def test_a_form_of_another_length_than_asked_is_refused() -> None:
    with server(says(json.dumps(GOOD))) as (where, _):
        plan = plan_with_llm("5 minutes", where)
    assert "were asked for" in first_choice(plan)
    assert plan.song == plan_song("5 minutes").song


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        plan = plan_with_llm("a song", Server(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "tiny", 5))
    assert "cannot be reached" in first_choice(plan)


def test_a_silent_server_times_out() -> None:
    release = threading.Event()
    with server(lambda handler: release.wait(10) and None, timeout=0.2) as (where, _):
        plan = plan_with_llm("a song", where)
        release.set()
    assert "within 0.2 seconds" in first_choice(plan)


def test_a_stream_without_end_is_cut_off() -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.is_set():
            handler.wfile.write(b" ")
            time.sleep(0.01)

    with server(drip, timeout=0.3) as (where, _):
        plan = plan_with_llm("a song", where)
        stop.set()
    assert "in time" in first_choice(plan)


@pytest.mark.parametrize(
    "url",
    ["http://example.com/v1", "http://8.8.8.8", "http://0.0.0.0:80", "ftp://127.0.0.1", "127.0.0.1:80", "", "http://", "http://[::1",
     "http://127.0.0.1:99999", "http://user:word@127.0.0.1", "http://localhost.evil.com", "file:///etc/passwd", "http://127.0.0.1?x=1"],
)  # fmt: skip
def test_a_server_that_may_not_be_asked_is_refused(url: str) -> None:
    with pytest.raises(SongError, match="model server"):
        Server(url, "tiny")


def test_servers_that_may_be_asked() -> None:
    for url in (
        "http://localhost:11434/v1",
        "http://192.168.1.5:8080",
        "http://[::1]:1234/v1",
        "https://models.example.com",
    ):
        assert Server(url, "tiny").base_url == url
    assert Server("http://box.example.com", "tiny", named_hosts=("box.example.com",))
    assert is_near("10.0.0.1")
    assert not is_near("11.0.0.1")
    for wrong in ({"timeout": 0.0}, {"timeout": float("nan")}, {"timeout": 1e9}, {"model": ""}):
        with pytest.raises(SongError):
            Server(**{"base_url": "http://localhost", "model": "tiny", **wrong})  # type: ignore[arg-type]
