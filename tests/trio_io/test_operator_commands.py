"""Notes are read once, whole, and answered; what cannot be read is no note."""

from __future__ import annotations

from pathlib import Path

from coldframe.trio_io.operator_commands import OperatorCommands


def test_a_note_is_taken_once_and_answered(tmp_path: Path) -> None:
    person, bot = OperatorCommands(tmp_path / "notes"), OperatorCommands(tmp_path / "notes")
    person.leave("2.b", {"order": "x"})
    person.leave("1.a", {"order": "y"})
    assert person.answer_to("1.a") is None
    assert bot.take() == [("1.a", {"order": "y"}), ("2.b", {"order": "x"})]
    assert bot.take() == []
    bot.answer("1.a", {"accepted": True})
    assert person.answer_to("1.a") == {"accepted": True}
    assert person.answer_to("1.a") is None
    assert list((tmp_path / "notes").iterdir()) == []


def test_a_note_can_be_taken_back(tmp_path: Path) -> None:
    notes = OperatorCommands(tmp_path)
    notes.leave("1.a", {})
    notes.withdraw("1.a")
    notes.withdraw("1.a")
    assert notes.take() == []


def test_what_is_no_note_is_thrown_away(tmp_path: Path) -> None:
    for name, text in (("1.ask", "{"), ("2.ask", "[]"), ("3.ask", ""), ("4.ask", "\x00"), ("5.ask", "[" * 5000)):
        (tmp_path / name).write_text(text)
    assert OperatorCommands(tmp_path).take() == []
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_reads_a_note(tmp_path: Path) -> None:
    OperatorCommands(tmp_path / "notes").leave("1.a", {})
    (path,) = (tmp_path / "notes").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_not_there_has_no_notes(tmp_path: Path) -> None:
    notes = OperatorCommands(tmp_path / "none")
    assert notes.take() == []
    notes.answer("1.a", {})
    assert notes.answer_to("1.a") is None
