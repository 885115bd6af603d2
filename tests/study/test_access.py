"""Over HTTP: who takes part from where, by which link, and which sites may speak for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diptych.errors import InputError
from diptych.study.server import StudyServer
from diptych.study.store import Study
from tests.study.conftest import Client, served


def test_joining_needs_consent_and_an_invitation_where_there_are_any(client, folder) -> None:
    assert client.post("/api/join", request="r1").status == 400
    assert client.post("/api/join", agrees="yes", request="r1").status == 400
    assert client.post("/api/join", agrees=True, request="no word").status == 400
    (code,) = Study(folder).invite(1)
    assert client.state()["stage"] == "refused"
    assert client.state(code)["is_by_invitation"]
    for wrong in ("", "wrong", "x" * 65, "%C3%A9"):
        assert client.state(wrong)["error"] == "not invited"
        reply = client.join(code=wrong)
        assert (reply.status, reply.json) == (403, {"error": "not invited"})
    for odd in ("é", "a b", "x; Path=/", "x\r\nSet-Cookie: a=b"):
        assert client.join(code=odd).json == {"error": "not invited"}
    assert client.join(code=5).status == 400
    assert Study(folder).records() == []
    assert client.join(code=code).json["number"] == 1


def answer_all(client: Client) -> Any:
    for number in range(1, 7):
        client.post("/api/show", trial=number)
        reply = client.post("/api/answer", trial=number, choice="left")
    return reply.json["state"]


def test_a_link_decides_who_takes_part_whoever_did_so_in_this_browser_before(
    client, folder
) -> None:
    first, second = Study(folder).invite(2)
    client.join("r1", code=first)
    client.post("/api/show", trial=1)
    client.post("/api/answer", trial=1, choice="left")
    assert client.state(first)["number"] == 2
    assert client.state("")["number"] == 2  # the address typed without the link
    assert client.state(second)["stage"] == "welcome"
    assert client.join("r2", code=second).json["number"] == 1
    assert {r["participant"] for r in Study(folder).records()} == {1, 2}
    assert client.state(second)["number"] == 1
    assert client.state(first)["stage"] == "welcome"
    assert client.join("r3", code=first).json["number"] == 2
    assert {r["participant"] for r in Study(folder).records()} == {1, 2}


def test_a_finished_link_thanks_its_own_browser_and_is_used_elsewhere(client, folder) -> None:
    first, second = Study(folder).invite(2)
    client.join("r1", code=first)
    done = answer_all(client)
    assert done["stage"] == "done"
    for code in (first, ""):
        assert client.state(code).items() >= done.items()
    assert client.state(second)["stage"] == "welcome"
    client.cookie = ""
    assert client.state(first)["error"] == "already used"
    assert client.join("r2", code=first).json == {"error": "already used"}
    assert len(Study(folder).records()) == 6


def test_a_hash_that_nobody_asked_for_makes_no_second_participant(client, folder) -> None:
    cookie = client.join("r1", code="top; Path=/nowhere").headers["Set-Cookie"]
    assert "nowhere" not in cookie
    assert client.state("bottom")["number"] == 1
    assert client.join("r2", code="bottom").json["number"] == 1
    assert len(Study(folder).records()) == 6


@pytest.mark.parametrize(
    "odd",
    ['g_state={"i_l":0}', "lonely", "path=/", "version=1", "name=two words", "a(b)=c", "=", '"',
     "expires=Wed, 21 Oct 2026"],
)  # fmt: skip
def test_cookies_of_others_do_not_hide_the_participants(client, odd: str) -> None:
    own = client.join().headers["Set-Cookie"].partition(";")[0]
    for cookies in (f"{odd}; {own}", f"{own}; {odd}", f"{odd};{own}"):
        client.cookie = cookies
        assert client.state()["stage"] == "trial"


def test_a_browser_may_take_part_in_two_studies_of_one_host(client, new_study) -> None:
    client.join()
    assert client.post("/api/show", trial=1).status == 200
    assert client.post("/api/answer", trial=1, choice="left").status == 200
    with served(new_study("another")) as another:
        other = Client(another)
        other.cookie = client.cookie
        assert other.state()["stage"] == "welcome"
        other.join("r2")
        both = f"{client.cookie}; {other.cookie}"  # as a browser keeps them
        client.cookie = other.cookie = both
        assert client.cookie.count("participant-") == 2
        assert other.state()["number"] == 1
        assert client.state()["number"] == 2


def test_other_sites_cannot_answer(client, folder) -> None:
    client.join()
    client.post("/api/show", trial=1)
    body = b'{"trial": 1, "choice": "left"}'
    as_form = client.ask("POST", "/api/answer", body, Content_Type="text/plain")
    assert as_form.status == 415
    kind = "application/json"
    foreign = client.ask("POST", "/api/answer", body, Content_Type=kind, Origin="http://evil.test")
    assert foreign.status == 403
    assert all(r["choice"] is None for r in Study(folder).records())
    own = f"http://127.0.0.1:{client.port}"
    for site in ("cross-site", "same-site", "none"):
        reply = client.ask(
            "POST", "/api/answer", body, Content_Type=kind, Origin=own, Sec_Fetch_Site=site
        )
        assert reply.json == {"error": "sent by another site"}
    assert all(r["choice"] is None for r in Study(folder).records())
    assert client.ask("POST", "/api/answer", body, Content_Type=kind, Origin=own).status == 200


def test_behind_a_web_server_that_names_the_upstream_as_host_people_join(server, client) -> None:
    origin = "https://study.example.org"
    body = json.dumps({"agrees": True, "request": "r1"}).encode()
    head = {"Content_Type": "application/json", "Origin": origin}
    assert client.ask("POST", "/api/join", body, **head).status == 403
    assert client.ask("POST", "/api/join", body, **head, Sec_Fetch_Site="same-origin").status == 200


def test_a_study_for_its_own_machine_answers_to_no_other_name(client, folder) -> None:
    body = json.dumps({"agrees": True, "request": "r1"}).encode()
    for name in (f"evil.test:{client.port}", "localhost.evil.test", "192.0.2.1", "[", ""):
        assert client.ask("GET", "/", Host=name).status == 403
        reply = client.ask("POST", "/api/join", body, Content_Type="application/json",
                           Origin=f"http://{name}", Host=name)  # fmt: skip
        assert reply.status == 403
    assert Study(folder).records() == []
    for name in ("localhost", f"LOCALHOST:{client.port}", "127.0.0.1", f"[::1]:{client.port}"):
        assert client.ask("GET", "/", Host=name).status == 200


def test_the_name_that_participants_know_is_given_as_url(folder) -> None:
    url = "https://Study.example.org:8443/"
    origin = "https://study.example.org:8443"
    with served(folder, url=url) as server:
        client = Client(server)
        for name in ("study.example.org", "study.example.org:8443", "127.0.0.1"):
            assert client.ask("GET", "/", Host=name).status == 200
            reply = client.ask("POST", "/api/state", b"{}", Content_Type="application/json",
                               Origin=origin, Host=name)  # fmt: skip
            assert reply.json["stage"] == "welcome"
        assert client.ask("GET", "/", Host="evil.test").status == 403
    for wrong in ("study.example.org", "ftp://x.test", "https://", "http://["):
        with pytest.raises(InputError, match="expected an address such as https://"):
            StudyServer(Study(folder), "127.0.0.1", 0, wrong)


def test_a_study_for_other_machines_answers_to_any_name(folder) -> None:
    with served(folder, host="0.0.0.0") as server:
        assert Client(server).ask("GET", "/", Host="lab-7.test").status == 200
