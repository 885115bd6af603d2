"""What is stored: each answer once and at once, whatever happens to page and server."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from diptych.errors import InputError
from diptych.study.store import DATABASE, Answer, NotInvitedError, Study

FEEDBACK_KEYS = {"real", "is_correct"}


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        return connection.execute(query).fetchall()


def finish(study: Study, token: str) -> None:
    for number in range(1, study.settings.total + 1):
        study.show(token, number)
        study.answer(token, number, Answer("left"))


def test_a_session_goes_from_trial_to_trial_to_the_end(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    right = 0
    for number in range(1, 7):
        state = study.state(token)
        assert state is not None
        assert (state["stage"], state["number"]) == ("trial", number)
        assert set(state) == {"stage", "number", "left", "right"}
        study.show(token, number)
        result = study.answer(token, number, Answer("left", 432.5, 1000.1, False))
        assert result is not None
        real = rows(study.folder, f"SELECT real_side FROM trials WHERE number = {number}")[0][0]
        if number <= 2:
            assert result["feedback"] == {"real": real, "is_correct": real == "left"}
        else:
            assert result["feedback"] is None
            right += real == "left"
    assert study.state(token) == {"stage": "done", "correct": right}
    stored = rows(study.folder, "SELECT choice, response_ms, exposure_ms, was_hidden FROM trials")
    assert stored == [("left", 432.5, 1000.1, 0)] * 6


def test_a_second_submit_changes_nothing_and_gets_the_same_reply(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    study.show(token, 1)
    first = study.answer(token, 1, Answer("left", 10.0))
    again = study.answer(token, 1, Answer("right", 99.0))
    assert first == again
    assert first is not None
    assert set(first["feedback"]) == FEEDBACK_KEYS
    assert rows(study.folder, "SELECT choice, response_ms FROM trials WHERE choice NOT NULL") == [
        ("left", 10.0)
    ]


def test_trials_can_neither_be_skipped_nor_answered_after_the_end(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    state = study.state(token)
    assert study.answer(token, 3, Answer("left")) == {"feedback": None, "state": state}
    assert study.answer(token, 2, Answer("left")) == {"feedback": None, "state": state}
    assert not study.show(token, 2)
    finish(study, token)
    before = rows(study.folder, "SELECT * FROM trials")
    study.answer(token, 6, Answer("right"))
    study.answer(token, 7, Answer("right"))
    assert not study.show(token, 6)
    assert rows(study.folder, "SELECT * FROM trials") == before


def test_an_answer_to_a_pair_that_was_never_shown_is_not_taken(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    state = study.state(token)
    assert study.answer(token, 1, Answer("left")) == {"feedback": None, "state": state}
    assert [r["choice"] for r in study.records()] == [None] * 6
    study.show(token, 1)
    study.answer(token, 1, Answer("left"))
    assert [(r["choice"], r["views"]) for r in study.records()] == [("left", 1)] + [(None, 0)] * 5


def test_many_submits_at_once_count_once(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    study.show(token, 1)
    sides = ("left", "right") * 6
    replies: list[object] = []
    threads = [
        threading.Thread(
            target=lambda side=side: replies.append(study.answer(token, 1, Answer(side)))
        )
        for side in sides
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 12
    assert all(reply == replies[0] for reply in replies)
    assert rows(study.folder, "SELECT COUNT(*) FROM trials WHERE choice NOT NULL") == [(1,)]


def test_who_joins_twice_is_one_participant(new_study) -> None:
    study = Study(new_study())
    assert study.join("r1") == study.join("r1")
    finish(study, study.join("r1"))
    state = study.state(study.join("r1"))
    assert state is not None
    assert state["stage"] == "done"
    assert study.join("r2") != study.join("r1")
    assert rows(study.folder, "SELECT COUNT(*) FROM participants") == [(2,)]


def test_methods_are_balanced_even_if_all_join_at_once(new_study) -> None:
    study = Study(new_study(methods=("a", "b", "c")))
    threads = [threading.Thread(target=study.join, args=(f"r{i}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    methods = Counter(m for (m,) in rows(study.folder, "SELECT method FROM participants"))
    assert methods == {"a": 4, "b": 4, "c": 4}


def test_a_participant_sees_one_method_alone(new_study) -> None:
    study = Study(new_study())
    for i in range(4):
        study.join(f"r{i}")
    pairs = "SELECT DISTINCT participant, images.method FROM trials JOIN images ON images.id = fake"
    assert rows(study.folder, pairs) == rows(study.folder, "SELECT id, method FROM participants")
    assert rows(study.folder, "SELECT COUNT(*) FROM trials JOIN images ON images.id = real"
                " WHERE images.method IS NOT NULL") == [(0,)]  # fmt: skip


def test_the_same_seed_gives_the_same_study_and_another_one_another(new_study) -> None:
    def shown(name: str, seed: int) -> list[tuple[object, ...]]:
        study = Study(new_study(name, seed=seed))
        for i in range(3):
            study.join(f"r{i}")
        return rows(study.folder, "SELECT participant, number, real, fake, real_side FROM trials")

    assert shown("one", 5) == shown("two", 5)
    assert shown("one-more", 5) != shown("other", 6)


def test_a_link_opens_the_images_of_the_participants_current_trial_alone(new_study) -> None:
    study = Study(new_study())
    mine, theirs = study.join("r1"), study.join("r2")
    state = study.state(mine)
    assert state is not None
    levels = {}
    for side in ("left", "right"):
        path = study.image(mine, state[side])
        assert path is not None
        with Image.open(path) as image:
            levels[side] = image.getpixel((0, 0))[0]
        assert study.image(theirs, state[side]) is None
        assert study.image("", state[side]) is None
    real = rows(study.folder, "SELECT real_side FROM trials WHERE participant = 1")[0][0]
    assert levels == {real: 200, "right" if real == "left" else "left": 60}
    study.show(mine, 1)
    study.answer(mine, 1, Answer("left"))
    assert study.image(mine, state["left"]) is None
    later = rows(study.folder, "SELECT left_token FROM trials WHERE participant = 1 AND number = 3")
    assert study.image(mine, str(later[0][0])) is None


def test_an_invitation_is_one_participant_wherever_it_is_opened(new_study) -> None:
    study = Study(new_study())
    assert not study.is_by_invitation()
    open_to_all = study.join("before")
    first, second = study.invite(2)
    assert study.is_by_invitation()
    for code in ("", "wrong"):
        with pytest.raises(NotInvitedError, match="not invited"):
            study.join("r1", code)
    token = study.join("r1", first)
    study.show(token, 1)
    study.answer(token, 1, Answer("left"))
    assert study.join("another-browser", first) == token
    assert study.join("r2", second) != token
    assert study.state(open_to_all) is not None
    assert rows(study.folder, "SELECT COUNT(*) FROM participants") == [(3,)]
    with pytest.raises(InputError, match="at least 1"):
        study.invite(0)


def test_nothing_personal_is_stored(new_study) -> None:
    tables = "sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
    columns = rows(new_study(), f"SELECT m.name, c.name FROM {tables}")
    of = {table: {c for t, c in columns if t == table} for table, _ in columns}
    assert of["participants"] == {"id", "token", "request", "method"}
    assert of["invitations"] == {"code", "participant", "is_used"}
    assert of["trials"] == {
        "participant", "number", "real", "fake", "real_side", "left_token", "right_token",
        "views", "choice", "response_ms", "exposure_ms", "was_hidden",
    }  # fmt: skip


def test_the_last_answer_cuts_the_link_from_the_participant(new_study) -> None:
    study = Study(new_study())
    first, second, _ = study.invite(3)
    token, other = study.join("r1", first), study.join("r2", second)
    links = "SELECT code, participant, is_used FROM invitations WHERE participant OR is_used"
    assert set(rows(study.folder, links)) == {(first, 1, 0), (second, 2, 0)}
    finish(study, token)
    assert set(rows(study.folder, links)) == {(first, None, 1), (second, 2, 0)}
    with pytest.raises(NotInvitedError, match="already used"):
        study.join("r3", first)
    assert study.join("r1", first) == token  # the reply to joining may have been lost
    assert study.join("r3", second) == other


def test_a_study_of_the_first_format_goes_on_and_forgets_who_came_by_finished_links(
    new_study,
) -> None:
    folder = new_study()
    study = Study(folder)
    first, second, third = study.invite(3)
    finish(study, study.join("r1", first))
    other = study.join("r2", second)
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("UPDATE invitations SET participant = 1 WHERE code = ?", (first,))
        connection.execute("ALTER TABLE invitations DROP COLUMN is_used")
        connection.execute("UPDATE study SET format = 1")
        connection.commit()
    for again in (Study(folder), Study(folder)):  # brought up to date once
        assert again.refusal(first) == "already used"
        assert again.join("r3", second) == other
        assert again.refusal(third) is None
    links = set(rows(folder, "SELECT code, participant, is_used FROM invitations"))
    assert links == {(first, None, 1), (second, 2, 0), (third, None, 0)}
    assert rows(folder, "SELECT format FROM study") == [(2,)]


def test_views_of_a_pair_are_counted(new_study) -> None:
    study = Study(new_study())
    token = study.join("r1")
    assert study.show(token, 1)
    assert study.show(token, 1)
    study.answer(token, 1, Answer("left"))
    assert study.show(token, 2)
    assert [r["views"] for r in study.records()] == [2, 1, 0, 0, 0, 0]


KILLED = """
import os, signal, sys
from pathlib import Path
from diptych.study.store import Answer, Study

study = Study(Path(sys.argv[1]))
token = study.join("r1")
print(token, flush=True)
for number in range(1, 4):
    study.show(token, number)
    print(study.answer(token, number, Answer("right"))["state"]["number"], flush=True)
with study._open() as connection:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE trials SET choice = 'left', views = 0")
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_loses_no_answer_and_leaves_nothing_half_done(new_study) -> None:
    folder = new_study()
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        token, *replies = (process.stdout.readline().strip() for _ in range(5))
        assert replies == ["2", "3", "4", "ready"]
        process.send_signal(signal.SIGKILL)
    study = Study(folder)
    state = study.state(token)
    assert state is not None
    assert state["number"] == 4
    choices = [r["choice"] for r in study.records()]
    assert choices == ["right"] * 3 + [None] * 3  # the change that was not committed is gone
    finish(study, token)
    assert study.state(token) == {"stage": "done", "correct": sum(
        r["choice"] == r["real_side"] for r in study.records() if r["number"] > 2
    )}  # fmt: skip


def test_a_folder_that_is_no_study_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no study in .*: make one with diptych study make"):
        Study(tmp_path)
    (tmp_path / DATABASE).write_text("not a database, and longer than a header of SQLite's" * 9)
    with pytest.raises(InputError, match="cannot be read as a study"):
        Study(tmp_path)
