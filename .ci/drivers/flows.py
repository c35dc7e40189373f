"""Runs the flows of a driver: every function of a module whose name begins with `flow_`."""

import asyncio
import inspect
import sys
import traceback


def run(module):
    """Runs them, one after the other, and says of each whether it is `ok` or has `failed`."""
    flows = {name: flow for name, flow in vars(module).items() if name.startswith("flow_")}
    for name, flow in flows.items():
        try:
            if inspect.iscoroutinefunction(flow):
                asyncio.run(asyncio.wait_for(flow(), 60))
            else:
                flow()
            print(f"ok {name.removeprefix('flow_')}", flush=True)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            print(f"failed {name.removeprefix('flow_')}", flush=True)


def fails(sqlstate, error):
    """Checks the SQLSTATE of an error of a driver."""
    found = getattr(error, "sqlstate", None)
    assert found == sqlstate, f"{found} instead of {sqlstate}: {error}"
