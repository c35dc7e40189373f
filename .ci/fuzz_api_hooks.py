"""What schemathesis does not know of the server: names of collections, ids and transactions there are.

Of eight requests one keeps the names that were made up. Which names another gets depends on the
request alone, so that a seed gives the same requests again. Queries get the time that they need on
any machine: 504 is right after a millisecond, and here it would be a 5xx. Loaded by fuzz_api.py.
"""

import os
import zlib

import schemathesis

# Collections with ids of theirs. The largest one is left out: to read it whole takes a second, and
# the others have all that it has.
COLLECTIONS = {
    "airlines": ["UA", "AA"],
    "airports": ["JFK", "LGA"],
    "planes": ["N10156"],
    "weather": ["1", "2"],
    "places": ["1", "42"],
}
TRANSACTIONS = os.environ["FUZZ_API_TRANSACTIONS"].split(",")


def is_kept(case):
    """What would take a collection from all requests after it goes by a made-up name."""
    path, method = case.operation.path, case.operation.method.upper()
    return (method, path) == ("DELETE", "/v1/collections/{name}") or path.endswith("/alter")


def give_time(members):
    """Leaves a limit of time out that a query may take."""
    if not isinstance(members, dict):
        return
    try:
        if 0 < int(members["timeout_ms"]) < 25_000:
            del members["timeout_ms"]
    except (KeyError, TypeError, ValueError):
        pass


@schemathesis.hook
def before_call(context, case, kwargs):
    if "/transactions" not in case.operation.path:
        give_time(case.query)
        give_time(case.body)
    names = case.path_parameters
    if not names or is_kept(case):
        return
    asked = repr((case.operation.path, names, case.query, case.body)).encode()
    pick = zlib.crc32(asked)
    if pick % 8 == 0:
        return
    pick //= 8
    if "name" in names and "/schemas/" not in case.operation.path:
        # One collection has every kind of index.
        known = list(COLLECTIONS) + 3 * ["places"]
        names["name"] = known[pick % len(known)]
        if "id" in names:
            ids = COLLECTIONS[names["name"]]
            names["id"] = ids[pick // 8 % len(ids)]
    if "transaction" in names:
        names["transaction"] = TRANSACTIONS[pick % len(TRANSACTIONS)]
