"""A study's folder: images under random names, and one SQLite file for everything else.

Every change is one transaction, which is on the disk before the server responds. So a killed
server loses no answer, and a restarted server continues where it stopped. For each participant
the file holds a number, a method, random tokens and the trials, but no name, address or time of
day. The link between a participant and an invitation is deleted with the last answer.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from diptych.errors import InputError
from diptych.study.draws import Candidate, Side, draw_method, draw_trials
from diptych.study.settings import StudySettings

DATABASE = "study.sqlite"
IMAGES = "images"

_FORMAT = 2
_PATIENCE_SECONDS = 30.0  # to wait for another transaction
_SCHEMA = """
CREATE TABLE study (format INTEGER NOT NULL, settings TEXT NOT NULL);
CREATE TABLE images (
  id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE, method TEXT, scene TEXT NOT NULL,
  UNIQUE (method, scene)
);
CREATE TABLE participants (
  id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, request TEXT NOT NULL UNIQUE,
  method TEXT NOT NULL
);
CREATE TABLE invitations (
  code TEXT PRIMARY KEY, participant INTEGER UNIQUE REFERENCES participants,
  is_used INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE trials (
  participant INTEGER NOT NULL REFERENCES participants, number INTEGER NOT NULL,
  real INTEGER NOT NULL REFERENCES images, fake INTEGER NOT NULL REFERENCES images,
  real_side TEXT NOT NULL CHECK (real_side IN ('left', 'right')),
  left_token TEXT NOT NULL UNIQUE, right_token TEXT NOT NULL UNIQUE,
  views INTEGER NOT NULL DEFAULT 0,
  choice TEXT CHECK (choice IN ('left', 'right')),
  response_ms REAL, exposure_ms REAL, was_hidden INTEGER,
  PRIMARY KEY (participant, number)
);
"""
_FORGET_FINISHED = """
UPDATE invitations SET participant = NULL, is_used = 1
WHERE participant IS NOT NULL
  AND participant NOT IN (SELECT participant FROM trials WHERE choice IS NULL)
"""


@dataclass(frozen=True)
class StoredImage:
    """One file of a study."""

    file: str
    """Its name in the folder of images."""
    method: str | None
    """The method that made it; None for a real image."""
    scene: str
    """What it shows. A real image and its translations have the same scene."""


@dataclass(frozen=True)
class Answer:
    """A participant's answer in one trial."""

    choice: Side
    """The side that was taken for real."""
    response_ms: float | None = None
    """Time from hiding the images to the choice."""
    exposure_ms: float | None = None
    """How long the images were visible, measured between drawn frames."""
    was_hidden: bool = False
    """Whether the page was out of sight while it should have shown the images."""


class NotInvitedError(Exception):
    """The study is by invitation, and the code is not valid. The text says why."""


def create_study(folder: Path, settings: StudySettings, images: Iterable[StoredImage]) -> None:
    """Write the database of a new study into `folder`, beside its images."""
    with _connected(folder / DATABASE, may_create=True) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with _transaction(connection):
            row = (_FORMAT, json.dumps(asdict(settings)))
            connection.execute("INSERT INTO study VALUES (?, ?)", row)
            connection.executemany(
                "INSERT INTO images (file, method, scene) VALUES (?, ?, ?)",
                [(image.file, image.method, image.scene) for image in images],
            )


class Study:
    """A study that people take part in. Several threads and processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        """Open the study in `folder`.

        Raises:
            InputError: there is no study, it cannot be read, or it has another format version.
        """
        self.folder = folder
        if not (folder / DATABASE).is_file():
            raise InputError(f"no study in {folder}: make one with diptych study make")
        try:
            with self._open() as connection:
                _upgrade(connection)
                version, text = connection.execute("SELECT * FROM study").fetchone()
                files = connection.execute("SELECT file FROM images ORDER BY file").fetchall()
        except (sqlite3.DatabaseError, TypeError, ValueError) as error:
            raise InputError(f"{folder / DATABASE} cannot be read as a study: {error}") from error
        if version != _FORMAT:
            raise InputError(f"{folder} has format {version}, this version reads {_FORMAT}")
        values = json.loads(text)
        self.settings = StudySettings(**values | {"methods": tuple(values["methods"])})
        # File names are random, so no two studies have the same id.
        self.id = sha256(" ".join(file for (file,) in files).encode()).hexdigest()[:12]

    def join(self, request: str, code: str = "") -> str:
        """Return a participant's token. Add a participant unless `request` or `code` has one.

        `request` is a random word of the joining page. A request that is sent twice adds only
        one participant.

        Raises:
            NotInvitedError: nobody can join by `code`; the text is that of `refusal`.
        """
        with self._open() as connection, _transaction(connection):
            known = connection.execute(
                "SELECT token FROM participants WHERE request = ?", (request,)
            ).fetchone()
            if known is not None:
                return str(known[0])
            refusal = _refusal(connection, code)
            if refusal is not None:
                raise NotInvitedError(refusal)
            invited = connection.execute(
                "SELECT token FROM invitations JOIN participants"
                " ON participants.id = participant WHERE code = ?",
                (code,),
            ).fetchone()
            if invited is not None:
                return str(invited[0])
            participant, token = self._add(connection, request)
            connection.execute(
                "UPDATE invitations SET participant = ? WHERE code = ?", (participant, code)
            )
            return token

    def refusal(self, code: str) -> str | None:
        """Return why `code` is refused, "not invited" or "already used"; None if it is valid."""
        with self._open() as connection:
            return _refusal(connection, code)

    def state(self, token: str) -> dict[str, Any] | None:
        """Return what a participant's page shows next; None if there is no such participant."""
        with self._open() as connection:
            participant = _participant(connection, token)
            return None if participant is None else self._state(connection, participant)

    def show(self, token: str, number: int) -> bool:
        """Record that trial `number` is about to be shown; False if another trial is next."""
        with self._open() as connection, _transaction(connection):
            participant = _participant(connection, token)
            if participant is None or number != _current(connection, participant):
                return False
            connection.execute(
                "UPDATE trials SET views = views + 1 WHERE participant = ? AND number = ?",
                (participant, number),
            )
            return True

    def answer(self, token: str, number: int, answer: Answer) -> dict[str, Any] | None:
        """Save the answer to trial `number`, if that trial is the current one and was shown.

        Answers to other trials are ignored. The result is what the page shows next: `state`,
        and `feedback` if `number` is an answered practice trial, else None. Return None if
        there is no such participant.
        """
        with self._open() as connection, _transaction(connection):
            participant = _participant(connection, token)
            if participant is None:
                return None
            if number == _current(connection, participant):
                connection.execute(
                    "UPDATE trials SET choice = ?, response_ms = ?, exposure_ms = ?,"
                    " was_hidden = ? WHERE participant = ? AND number = ? AND views > 0",
                    (
                        answer.choice,
                        answer.response_ms,
                        answer.exposure_ms,
                        answer.was_hidden,
                        participant,
                        number,
                    ),
                )
                if _current(connection, participant) is None:
                    connection.execute(_FORGET_FINISHED)
            feedback = self._feedback(connection, participant, number)
            return {"feedback": feedback, "state": self._state(connection, participant)}

    def image(self, token: str, image_token: str) -> Path | None:
        """Return the file behind a link of a participant's current trial; None for other links."""
        with self._open() as connection:
            participant = _participant(connection, token)
            if participant is None:
                return None
            number = _current(connection, participant)
            row = connection.execute(
                "SELECT left_token = ?, real_side, r.file, f.file FROM trials"
                " JOIN images r ON r.id = real JOIN images f ON f.id = fake"
                " WHERE participant = ? AND number = ? AND ? IN (left_token, right_token)",
                (image_token, participant, number, image_token),
            ).fetchone()
        if row is None:
            return None
        is_left, real_side, real, fake = row
        file: str = real if bool(is_left) == (real_side == "left") else fake
        return self.folder / IMAGES / file

    def invite(self, count: int) -> list[str]:
        """Make new codes, each for one participant.

        Once a study has invitations, nobody can join without one.

        Raises:
            InputError: `count` is less than 1.
        """
        if count < 1:
            raise InputError(f"{count} invitations: ask for at least 1")
        codes = [secrets.token_urlsafe(12) for _ in range(count)]
        with self._open() as connection, _transaction(connection):
            rows = [(code,) for code in codes]
            connection.executemany("INSERT INTO invitations (code) VALUES (?)", rows)
        return codes

    def is_by_invitation(self) -> bool:
        """Whether people need an invitation to take part."""
        with self._open() as connection:
            return _is_by_invitation(connection)

    def records(self) -> list[dict[str, Any]]:
        """Return every participant's trials, answered or not, each as a mapping of columns."""
        with self._open() as connection:
            cursor = connection.execute(
                "SELECT participant, p.method, number, f.scene AS fake_scene,"
                " r.scene AS real_scene, real_side, choice, response_ms, exposure_ms,"
                " was_hidden, views FROM trials JOIN participants p ON p.id = participant"
                " JOIN images r ON r.id = real JOIN images f ON f.id = fake"
                " ORDER BY participant, number"
            )
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with _connected(self.folder / DATABASE) as connection:
            yield connection

    def _add(self, connection: sqlite3.Connection, request: str) -> tuple[int, str]:
        """Add a participant with all trials. Return the participant's number and token."""
        last = connection.execute("SELECT MAX(id) FROM participants").fetchone()[0]
        number = 1 + (last or 0)
        counts = dict(connection.execute("SELECT method, COUNT(*) FROM participants GROUP BY 1"))
        method = draw_method(self.settings, counts, number)
        trials = draw_trials(
            self.settings, _candidates(connection, None), _candidates(connection, method), number
        )
        token = secrets.token_urlsafe(24)
        row = (number, token, request, method)
        connection.execute("INSERT INTO participants VALUES (?, ?, ?, ?)", row)
        connection.executemany(
            "INSERT INTO trials (participant, number, real, fake, real_side, left_token,"
            " right_token) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (number, i, t.real, t.fake, t.real_side, *_two_tokens())
                for i, t in enumerate(trials, start=1)
            ],
        )
        return number, token

    def _state(self, connection: sqlite3.Connection, participant: int) -> dict[str, Any]:
        number = _current(connection, participant)
        if number is None:
            right = connection.execute(
                "SELECT COUNT(*) FROM trials WHERE participant = ? AND number > ?"
                " AND choice = real_side",
                (participant, self.settings.practice),
            ).fetchone()[0]
            return {"stage": "done", "correct": right}
        left, right = connection.execute(
            "SELECT left_token, right_token FROM trials WHERE participant = ? AND number = ?",
            (participant, number),
        ).fetchone()
        return {"stage": "trial", "number": number, "left": left, "right": right}

    def _feedback(
        self, connection: sqlite3.Connection, participant: int, number: int
    ) -> dict[str, Any] | None:
        if number > self.settings.practice:
            return None
        row = connection.execute(
            "SELECT real_side, choice FROM trials WHERE participant = ? AND number = ?"
            " AND choice IS NOT NULL",
            (participant, number),
        ).fetchone()
        return None if row is None else {"real": row[0], "is_correct": row[0] == row[1]}


def _upgrade(connection: sqlite3.Connection) -> None:
    """Upgrade a study of format 1, which kept the links between participants and invitations."""
    if connection.execute("SELECT format FROM study").fetchone() != (1,):
        return
    with _transaction(connection):
        changed = connection.execute("UPDATE study SET format = 2 WHERE format = 1").rowcount
        if changed:  # otherwise another process has already done it
            connection.execute(
                "ALTER TABLE invitations ADD COLUMN is_used INTEGER NOT NULL DEFAULT 0"
            )
            connection.execute(_FORGET_FINISHED)


def _is_by_invitation(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM invitations LIMIT 1").fetchone() is not None


def _refusal(connection: sqlite3.Connection, code: str) -> str | None:
    row = connection.execute("SELECT is_used FROM invitations WHERE code = ?", (code,)).fetchone()
    if row is not None:
        return "already used" if row[0] else None
    return "not invited" if _is_by_invitation(connection) else None


def _participant(connection: sqlite3.Connection, token: str) -> int | None:
    row = connection.execute("SELECT id FROM participants WHERE token = ?", (token,)).fetchone()
    return None if row is None else int(row[0])


def _current(connection: sqlite3.Connection, participant: int) -> int | None:
    """Return the number of the first trial without an answer, or None."""
    number: int | None = connection.execute(
        "SELECT MIN(number) FROM trials WHERE participant = ? AND choice IS NULL", (participant,)
    ).fetchone()[0]
    return number


def _candidates(connection: sqlite3.Connection, method: str | None) -> list[Candidate]:
    rows = connection.execute(
        "SELECT id, scene FROM images WHERE method IS ? ORDER BY id", (method,)
    )
    return [Candidate(*row) for row in rows]


def _two_tokens() -> tuple[str, str]:
    return secrets.token_urlsafe(18), secrets.token_urlsafe(18)


@contextmanager
def _connected(path: Path, *, may_create: bool = False) -> Iterator[sqlite3.Connection]:
    mode = "rwc" if may_create else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_PATIENCE_SECONDS,
        isolation_level=None,  # transactions begin and end where this file says
    )
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # answers also survive a power cut
        yield connection
    finally:
        connection.close()


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a transaction, whole or not at all. It waits for other writers."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
