#!/usr/bin/env python3
"""A task in Python: counts the words of a file's lines, and leaves the counts in a file that an undo removes.

{"program": "word_count", "undo": true, "input": {"text": "one two\nthree", "keep": "/srv/counts/today.json"}}
"""
import json
import os
import signal
import sys


def say(word, rest=""):
    print(f"@{word} {rest}", flush=True)


def stopped(*_):
    say("fail", "words.stopped I was asked to stop.")
    sys.exit(1)


def run(call):
    lines = call["input"].get("text", "").splitlines()
    if not lines:
        say("fail_clean", "words.no_text There is nothing to count in.")
        return
    counts = []
    for number, line in enumerate(lines, start=1):
        counts.append(len(line.split()))
        say("progress", f"{number * 100 // len(lines)} line {number} of {len(lines)}")
    keep = call["input"].get("keep")
    if keep:
        # Written whole, so that a second try after a crash finds all of it or nothing.
        with open(keep + ".new", "w") as file:
            json.dump({"key": call["idempotency_key"], "counts": counts}, file)
        os.replace(keep + ".new", keep)
    print("this line goes to the run's log")
    say("output", json.dumps({"words": sum(counts), "lines": counts}))


def undo(call):
    """Is called after a failure later on, perhaps twice, and also when `run` came only half way."""
    keep = call["input"].get("keep")
    if keep and os.path.exists(keep):
        os.remove(keep)


signal.signal(signal.SIGINT, stopped)
call = json.load(sys.stdin)
{"run": run, "undo": undo}[call["call"]](call)
