"""Plays the shift. Ends with 0 only if every step was as it should be."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from agent.terminal import run
from hw.sim.demo.footage import street
from hw.sim.demo.shift import Shift, Status, command, frames_of, start_of
from hw.sim.demo.timeline import DemoError, Teller

CAMERA = "cam-01"
PRERECORD_S = 10


def main() -> int:
    """`python -m hw.sim.demo --out DIR [--footage FILE]`."""
    parser = argparse.ArgumentParser(prog="demo", description="A shift on a simulated board.")
    parser.add_argument("--out", type=Path, required=True, help="folder for agency/, camera/ and bundle/")
    parser.add_argument("--footage", type=Path, help="film to play; real footage is fetched without it")
    parsed = parser.parse_args()
    return run("demo", lambda: _play(parsed.out.absolute(), parsed.footage))


def _play(out: Path, footage: Path | None) -> int:
    _clear(out)
    film = (street() if footage is None else footage).absolute()
    agency, camera = out / "agency", out / "camera"
    teller = Teller(camera / "run")
    teller.chapter(f"The technician makes an agency and enrols {CAMERA} (film: {film.name})")
    _enrol(agency, film)
    shutil.copytree(agency / "cameras" / CAMERA, camera)
    shift = Shift(camera, teller)
    try:
        recordings = _work(shift, teller)
    finally:
        shift.end()
    teller.follow()
    _check(out, teller, recordings)
    return 0


def _clear(out: Path) -> None:
    """Only what an earlier demo made is removed."""
    if out.exists() and any(out.iterdir()) and not (out / "agency" / "ca").is_dir():
        raise DemoError(str(out), "is not a folder of an earlier demo", "give a new folder: make demo OUT=<folder>")
    for part in ("agency", "camera", "bundle", "salvage"):
        shutil.rmtree(out / part, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)


def _enrol(agency: Path, film: Path) -> None:
    identity = ["--agency", "ville-demo", "--name", "Police municipale", "--camera", CAMERA]
    setting: list[str | Path] = ["--board", "sim", "--prerecord-s", str(PRERECORD_S), "--footage", film]
    command("temoin-fleet", "init", agency, *identity, *setting, "--demo")


def _work(shift: Shift, teller: Teller) -> list[str]:
    """The shift itself; ids of its three recordings."""
    teller.chapter("The officer switches the camera on; it looks back 10 s, in memory only")
    shift.start()
    shift.wait_for("ready")
    shift.pause(PRERECORD_S + 1)
    recordings = [_first_recording(shift, teller)]
    recordings.append(_killed_recording(shift, teller))
    recordings.append(_cut_recording(shift, teller))
    return recordings


def _first_recording(shift: Shift, teller: Teller) -> str:
    teller.chapter("First recording: press, mark, notice, hold")
    shift.do("officer", "presses", "tap")
    rec = _recording(shift.wait_for("recording"))
    shift.pause(4)
    shift.do("officer", "taps: a mark", "tap")
    shift.pause(2)
    shift.do("officer", "taps twice: the people filmed were told", "tap")
    shift.pause(0.3)
    shift.do("officer", "(second tap)", "tap")
    shift.wait("the notice", lambda status: status.get("notice") == "announced")
    shift.pause(1)
    shift.do("officer", "holds for 2 s: stop", "hold")
    shift.wait_for("ready")
    return rec


def _killed_recording(shift: Shift, teller: Teller) -> str:
    teller.chapter("Second recording: the agent is killed, and goes on")
    shift.do("officer", "presses", "tap")
    rec = _recording(shift.wait_for("recording"))
    shift.pause(3)
    shift.kill()
    shift.start()
    again = _recording(shift.wait_for("recording"))
    if again != rec:
        raise DemoError("demo", f"{rec} did not go on; {again} began")
    shift.pause(3)
    shift.do("officer", "holds for 2 s: stop", "hold")
    shift.wait_for("ready")
    return rec


def _cut_recording(shift: Shift, teller: Teller) -> str:
    teller.chapter("Third recording: the power is cut, and the camera boots again")
    shift.do("officer", "presses", "tap")
    rec = _recording(shift.wait_for("recording"))
    shift.pause(4)
    shift.pull_the_plug()
    shift.pause(3)
    teller.say("officer", "puts the battery back")
    shift.start()
    status = shift.wait_for("ready")
    if "interrupted" not in _texts(status.get("conditions")):
        raise DemoError("demo", "the camera does not say that its recording was interrupted")
    teller.say("demo", "the camera says: the recording was interrupted")
    shift.pause(1)
    shift.end()
    return rec


def _check(out: Path, teller: Teller, recordings: list[str]) -> None:
    agency, data, bundle = out / "agency", out / "camera" / "data", out / "bundle"
    root = agency / "ca" / "agency.pem"
    teller.chapter("Somebody checks the camera's card, without any key")
    report = json.loads(command("temoin", "verify", data, "--trust", root, "--allow-simulated", "--json"))
    _expect_report(report, recordings)
    teller.say("verify", f"{report['verdict']}: " + "; ".join(str(reason["problem"]) for reason in report["reasons"]))
    teller.chapter("The reader exports the first recording; the court checks it with stock tools")
    identity = agency / "reader" / "agency.age-identity"
    keys: list[str | Path] = ["--identity", identity, "--signer", agency / "reader"]
    command("temoin", "export", recordings[0], "--data", data, *keys, "--out", bundle)
    _stock_check(agency, bundle, teller)
    command("temoin", "verify", bundle, "--trust", root, "--allow-simulated")
    _play_clip(bundle, teller)
    _salvage(out, data, recordings[2], identity, teller)
    teller.chapter("Done. What there is to look at:")
    for said, path in (("clip", bundle / "clip.mp4"), ("bundle", bundle), ("card", data)):
        sys.stdout.write(f"  {said:<8} {path}\n")


def _expect_report(report: dict[str, object], recordings: list[str]) -> None:
    listed = report["recordings"]
    assert isinstance(listed, list)
    found = {str(each["rec"]): each["stopped"] for each in listed}
    expected = dict(zip(recordings, ("hold", "hold", "interrupted"), strict=True))
    if found != expected:
        raise DemoError("temoin verify", f"lists {found}, not {expected}")


def _stock_check(agency: Path, bundle: Path, teller: Teller) -> None:
    words = (agency / "ca" / "FINGERPRINT.txt").read_text(encoding="utf-8").split()
    fingerprint = next(word for word in words if len(word) == 64)
    checked = subprocess.run(
        ["sh", "check.sh", "--ca-sha256", fingerprint, "--allow-simulated"],
        check=False,
        capture_output=True,
        text=True,
        cwd=bundle,
    )
    for line in checked.stdout.splitlines():
        teller.say("check.sh", line)
    if checked.returncode != 0:
        raise DemoError("check.sh", f"exit code {checked.returncode}: {checked.stderr.strip()}")


def _play_clip(bundle: Path, teller: Teller) -> None:
    clip = bundle / "clip.mp4"
    statement = json.loads((bundle / "statement.json").read_text(encoding="utf-8"))
    expected = statement["clips"][0]["frames"]
    frames, start = frames_of(clip), start_of(clip)
    if frames != expected or start != 0:
        raise DemoError(str(clip), f"ffprobe counts {frames} pictures from {start} s, not {expected} from 0")
    teller.say("ffprobe", f"{frames} pictures from 0 s on, as the journal says")


def _salvage(out: Path, data: Path, recording: str, identity: Path, teller: Teller) -> None:
    teller.chapter("What the power cut left of the third recording still plays")
    folder = out / "salvage"
    folder.mkdir()
    segments = sorted((data / "segments" / recording).iterdir())
    command("temoin", "salvage", segments[-1], "--identity", identity, folder=folder)
    (clip,) = folder.iterdir()
    teller.say("ffprobe", f"{frames_of(clip)} pictures in {clip.name}")


def _recording(status: Status) -> str:
    return str(status["recording"])


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


if __name__ == "__main__":
    sys.exit(main())
