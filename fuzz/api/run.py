#!/usr/bin/env python3
"""Asks a scheduler, by its own OpenAPI document, whatever schemathesis can think of.

Starts a node and a scheduler with tokens, runs schemathesis as nobody and with a token of each role,
and checks that both processes live on, have logged no error and violated nothing, have not grown, and
that nothing is allocated but what was confirmed. Prints a report in JSON. Exit: 0 nothing found, 1 a
finding, 3 it could not be carried out.

    fuzz/api/run.py --counterfoil target/debug/counterfoil --schemathesis venv/bin/schemathesis

Needs Python 3.11 and `pip install schemathesis`, in an environment of its own.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

ROLES = {"nobody": None, "read": "r" * 16, "place": "p" * 16, "admin": "a" * 16}
# A scheduler may take so much more memory in the end than after the first thousands of requests.
GROWTH_MAX_MIB = 24.0
LAPSE = 5


def memory_mib(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def get(url, path, token):
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


class Daemon:
    """A process of the program; `addresses` is where it listens."""

    def __init__(self, program, folder, name, args):
        self.log = folder / f"{name}.log"
        self.process = subprocess.Popen(
            [program, *args, "--data", str(folder / name), "--until-stdin-closes"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True,
        )
        line = self.process.stdout.readline().split()
        if line[:1] != ["ready"]:
            print(f"{name} does not start: {self.log.read_text()}", file=sys.stderr)
            sys.exit(3)
        self.addresses = line[1:]

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(timeout=30)


def schemathesis(args, url, role, examples, folder):
    """One run; its report, or that it made none."""
    report = folder / f"{role}.json"
    command = [
        args.schemathesis, "--config-file", str(pathlib.Path(__file__).with_name("schemathesis.toml")),
        "run", f"{url}/openapi.json", "--checks", "all", "--seed", str(args.seed),
        "--max-examples", str(examples), "--workers", str(args.workers), "--continue-on-failure",
        "--report-json-path", str(report), "--suppress-health-check", "all", "--no-shrink",
        "--request-timeout", "30",
    ]
    if token := ROLES[role]:
        command += ["--header", f"Authorization: Bearer {token}"]
    if args.time:
        command += ["--max-time", str(args.time)]
    with (folder / f"{role}.out").open("w") as out:
        code = subprocess.run(command, stdout=out, stderr=out, cwd=folder, check=False).returncode
    if not report.exists():
        return {"exit_code": code, "problem": (folder / f"{role}.out").read_text()[-2000:]}
    return json.loads(report.read_text())


def allocated(url):
    nodes = json.loads(get(url, "/v1/nodes", ROLES["read"]))
    return {node["node"]: node["used"] for node in nodes if node["used"]}


def counts(text, name):
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counterfoil", default="target/debug/counterfoil")
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=20, help="for each operation and role")
    parser.add_argument("--time", type=int, help="seconds for each role; fuzzing repeats until then")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--roles", default=",".join(ROLES))
    parser.add_argument("--keep", help="a folder for what the runs print")
    args = parser.parse_args()
    folder = pathlib.Path(args.keep or tempfile.mkdtemp(prefix="counterfoil-api-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{role} {token}\n" for role, token in ROLES.items() if token))

    any_port, lapse = "127.0.0.1:0", f"{LAPSE}s"
    node = Daemon(args.counterfoil, folder, "n1", [
        "node", "--id", "1-3", "--listen", any_port, "--lapse", lapse, "--vcpu", "64",
        "--memory-mb", "65536", "--disk-gb", "1000", "--metrics", any_port,
    ])
    scheduler = Daemon(args.counterfoil, folder, "s1", [
        "scheduler", "--id", "1", "--listen", any_port, "--api", any_port, "--lapse", lapse,
        "--peer", node.addresses[0], "--token-file", str(tokens),
    ])
    url = f"http://{scheduler.addresses[1]}"
    while len(json.loads(get(url, "/v1/nodes", ROLES["read"]))) < 3:
        time.sleep(0.1)

    # What is kept for callers and connections is there once many have called.
    schemathesis(args, url, "admin", 5, folder)
    daemons = {"scheduler": scheduler.process, "node": node.process}
    memory = {name: [memory_mib(process)] for name, process in daemons.items()}
    runs, findings = {}, []
    for role in args.roles.split(","):
        report = schemathesis(args, url, role, args.examples, folder)
        runs[role] = {
            "test_cases": report.get("test_cases", {}).get("generated", 0),
            "seconds": round(report.get("running_time", 0)),
            "operations": report.get("operations", {}).get("tested", 0),
            "complete": report.get("complete", False),
        }
        print(f"{role}: {runs[role]}", file=sys.stderr)
        for failure in report.get("failures", []) + report.get("errors", []):
            findings.append({"role": role, **{k: failure.get(k) for k in ("type", "title", "count")},
                             "operations": [str(o)[:300] for o in failure.get("operations", [])]})
        if "problem" in report:
            findings.append({"role": role, "problem": report["problem"]})
        for name, process in daemons.items():
            memory[name].append(memory_mib(process))

    dead = [name for name, process in daemons.items() if process.poll() is not None]
    findings += [{"ended": name} for name in dead]
    left = {}
    if not dead:
        # What nobody confirmed lapses; what was confirmed was asked for, and is told of.
        time.sleep(LAPSE + 2)
        left = allocated(url)
        texts = get(url, "/metrics", ROLES["read"])
        if counts(texts, "counterfoil_violations_total"):
            findings.append({"violations": True})
        answer = urllib.request.urlopen(f"http://{node.addresses[1]}/metrics", timeout=30)
        lines = answer.read().decode().splitlines()
        confirmed = counts("\n".join(line for line in lines if "HoldConfirmed" in line), "")
        if left and not confirmed:
            findings.append({"allocated and never confirmed": left})
    for name, sizes in memory.items():
        if sizes[-1] > sizes[0] + GROWTH_MAX_MIB:
            findings.append({"grows": name, "MiB": sizes})
    for name, daemon in {"scheduler": scheduler, "node": node}.items():
        if (code := daemon.stop()) != 0:
            findings.append({"ended with": code, "who": name})
        if "ERROR" in (log := daemon.log.read_text()):
            findings.append({"logged": log[-1000:], "who": name})
    json.dump({
        "command": "fuzz/api/run.py " + " ".join(sys.argv[1:]),
        "seed": args.seed,
        "test_cases": sum(run["test_cases"] for run in runs.values()),
        "runs": runs, "memory_mib": memory, "still_allocated": left, "findings": findings,
    }, sys.stdout, indent=2)
    print()
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
