"""Checks that are run one by one, so that the first that fails does not hide the others."""
import os
import sys
import time
import traceback

failed = 0


def check(fn):
    global failed
    began = time.monotonic()
    try:
        note = fn()
        print("ok   %s %.1f s %s" % (fn.__name__, time.monotonic() - began, note or ""))
    except Exception as error:
        failed += 1
        print("FAIL %s %s: %s" % (fn.__name__, type(error).__name__, str(error)[:600]))
        if os.environ.get("COTERIE_TRACE"):
            traceback.print_exc()


def finish():
    sys.exit(1 if failed else 0)
