"""Verifies a bundle in a process of its own; prints the reason of the refusal and the most memory that it took."""

import json
import sys
from pathlib import Path

from pipeline.errors import Refuted
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.signed_note import VerifierKey
from pipeline.ledger.verifier_input import open_path

reason = ""
try:
    verify_bundle(open_path(Path(sys.argv[1])), [VerifierKey.parse(sys.argv[2])])
except Refuted as fault:
    reason = fault.reason
    sys.stderr.write(f"{fault}\n")
# Not ru_maxrss, which a process takes over from the one that started it.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
sys.stdout.write(json.dumps({"reason": reason, "bytes": int(peak.split()[1]) * 1024}))
