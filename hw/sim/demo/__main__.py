"""Plays the shift. Ends with 0 only if every step was as it should be."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from agent.terminal import run
from hw.sim.agent_process import Status
from hw.sim.demo.enrolled import CAMERA, PRERECORD_S, enrol
from hw.sim.demo.footage import street
from hw.sim.demo.shift import Shift, command, frames_of, start_of
from hw.sim.demo.station import DOCK, Station, free_port
from hw.sim.demo.timeline import DemoError, Teller


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
    enrol(agency, camera, film, free_port(), free_port())
    shift, station = Shift(camera, teller), Station(out)
    try:
        recordings = _work(shift, teller)
        _dock(shift, station, teller, agency, len(recordings))
    finally:
        shift.end()
        station.end()
    teller.follow()
    _check(out, teller, recordings, station.archive / CAMERA)
    return 0


def _clear(out: Path) -> None:
    """Only what an earlier demo made is removed."""
    if out.exists() and any(out.iterdir()) and not (out / "agency" / "ca").is_dir():
        raise DemoError(str(out), "is not a folder of an earlier demo", "give a new folder: make demo OUT=<folder>")
    for part in ("agency", "camera", "bundle", "salvage", "station", "dock"):
        shutil.rmtree(out / part, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)


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
    return rec


def _dock(shift: Shift, station: Station, teller: Teller, agency: Path, recordings: int) -> None:
    """Hand over what was filmed: interrupted once, complete at the second docking, and then gone from the card."""
    teller.chapter("The shift is over: the camera goes on its dock, is taken off too early, and comes back")
    station.set_up(agency / "docks" / DOCK)
    station.start()
    shift.do("officer", "puts the camera on the dock", "dock")
    shift.wait("the journal at the dock", lambda _: any(station.archive.glob("*/journal/*.log")))
    shift.do("officer", "takes it off in the middle", "undock")
    shift.wait("undocked", lambda status: status.get("docking") is None)
    teller.say("dock", f"has the journal so far, and {station.blobs()} of {len(shift.segments())} segments")
    shift.pause(1)
    shift.do("officer", "puts it back", "dock")
    shift.wait("every segment received and purged", lambda _: not shift.segments(), 40)
    teller.say("dock", f"has every segment of {recordings} recordings, and signed a receipt for each")
    teller.say("camera", "has purged them, each by its receipt")
    shift.wait("the last word of the journal", lambda status: _docking(status, "uploads") == 0)
    shift.do("officer", "takes the camera", "undock")
    shift.wait("undocked", lambda status: status.get("docking") is None)
    shift.end()


def _docking(status: Status, field: str) -> int:
    docking = status.get("docking")
    return int(docking[field]) if isinstance(docking, dict) else -1


def _check(out: Path, teller: Teller, recordings: list[str], archive: Path) -> None:
    agency, bundle = out / "agency", out / "bundle"
    root = agency / "ca" / "agency.pem"
    teller.chapter("Somebody checks the camera's card and the dock's archive, without any key")
    card = json.loads(
        command("temoin", "verify", out / "camera" / "data", "--trust", root, "--allow-simulated", "--json")
    )
    _tell_verdict(teller, "card", card)
    data = archive
    report = json.loads(command("temoin", "verify", data, "--trust", root, "--allow-simulated", "--json"))
    _expect_report(report, recordings)
    _tell_verdict(teller, "archive", report)
    teller.chapter("The reader exports the first recording; the court checks it with stock tools")
    identity = agency / "reader" / "agency.age-identity"
    keys: list[str | Path] = ["--identity", identity, "--signer", agency / "reader"]
    command("temoin", "export", recordings[0], "--data", data, *keys, "--out", bundle)
    _stock_check(agency, bundle, teller)
    command("temoin", "verify", bundle, "--trust", root, "--allow-simulated")
    _play_clip(bundle, teller)
    _salvage(out, data, recordings[2], identity, teller)
    teller.chapter("Done. What there is to look at:")
    for said, path in (("clip", bundle / "clip.mp4"), ("bundle", bundle), ("archive", data)):
        sys.stdout.write(f"  {said:<8} {path}\n")


def _expect_report(report: dict[str, object], recordings: list[str]) -> None:
    listed = report["recordings"]
    assert isinstance(listed, list)
    found = {str(each["rec"]): each["stopped"] for each in listed}
    expected = dict(zip(recordings, ("hold", "hold", "interrupted"), strict=True))
    if found != expected:
        raise DemoError("temoin verify", f"lists {found}, not {expected}")


def _tell_verdict(teller: Teller, of: str, report: dict[str, object]) -> None:
    reasons = report["reasons"]
    assert isinstance(reasons, list)
    teller.say("verify", f"{of}: {report['verdict']}: " + "; ".join(str(reason["problem"]) for reason in reasons))


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
