#!/usr/bin/env python3
"""Sign-in, renewal and the ends of sessions: every interleaving of their commands.

Each row lets a few requests and operators run at once. A step is one command of the store. In every row all orders of
all steps are tried. One process may stop for good at any step. One command may lose its reply: it is executed and
repeated, or executed and reported as failed, or not executed and reported as failed. After each step the row's
properties are checked. The rows WITHOUT a part of the protocol must fail. They show that the part is needed, and that
the model can fail. The exit status is 1 if a row is not as expected.

The names are those of internal/record and driver.Users. O is the old session, N the new one, M that of a second
renewal, K another session of the same user.

    python3 model.py [-v]    -v prints the steps that lead to each failure that is expected
"""
import functools
import sys
from collections import namedtuple

Session = namedtuple("Session", "rev user items")  # items: what was written, sorted, so that twice is seen
Marker = namedtuple("Marker", "rev to user values")  # user: of the new session; values: None if the old one had a user
LastWord = namedtuple("LastWord", "rev")

PARTS = ("xx", "value of the removed", "list before value", "compare-and-delete", "value before list", "N stays",
         "one step swap", "first marker wins", "lives after values", "stamp", "others' condition", "others first",
         "limit")


# The store: each command is one step. A state of it is a dict of keys, with "list USER" and "stamp USER" among them.

def execute(store, command, repeated, without):
    """Returns the store after a command, and the reply: OK, what was found, or why nothing was done."""
    name, *args = command
    return COMMANDS[name](dict(store), repeated, without, *args)


def cmd_get(store, _repeated, _without, key):
    return store, store.get(key)


def cmd_listed(store, _repeated, _without, user, key):
    return store, key in store.get("list " + user, ())


def cmd_save(store, repeated, _without, key, was, new):
    found = store.get(key)
    if found == new:
        return store, "OK"
    if found is None and was is not None:
        return store, "failed" if repeated else "nothing"
    if found is not None and (was is None or found.rev != was.rev):
        return store, "failed" if repeated else found
    store[key] = new
    return store, "OK"


def cmd_delete(store, repeated, without, key, was):
    found = store.get(key)
    if found is None:
        return store, "failed" if repeated else "nothing"
    if was is not None and found.rev != was.rev and "compare-and-delete" not in without:
        return store, found
    del store[key]
    return store, "OK"


def cmd_bury(store, _repeated, without, key):
    if key in store or "xx" in without:
        store[key] = LastWord("end")
    return store, "OK"


def cmd_add(store, _repeated, without, user, key, stamp, limit):
    if stamp is not None and stamp != store["stamp " + user] and "stamp" not in without:
        return store, "stamp"
    ids = store.get("list " + user, ())
    over = ()
    if key not in ids:
        ids = tuple(i for i in ids if i in store) + (key,)
        if limit and len(ids) > limit and "limit" not in without:
            over, ids = ids[:-limit], ids[-limit:]
    store["list " + user] = ids
    return store, ("over",) + over


def cmd_replace(store, _repeated, _without, user, old, new):
    ids = store.get("list " + user, ())
    if old not in ids and new not in ids:
        return store, "nothing"
    store["list " + user] = tuple(new if i == old else i for i in ids)
    return store, "OK"


def cmd_remove(store, repeated, _without, user, key):
    ids = store.get("list " + user, ())
    if key not in ids:
        return store, "failed" if repeated else "nothing"
    store["list " + user] = tuple(i for i in ids if i != key)
    return store, "OK"


def cmd_others(store, repeated, without, user, keep):
    ids = store.get("list " + user, ())
    if keep not in ids and "others' condition" not in without:
        return store, "failed" if repeated else "nothing"
    store["list " + user], store["stamp " + user] = (keep,), store["stamp " + user] + 1
    return store, ("over",) + tuple(i for i in ids if i != keep)


def cmd_restamp(store, _repeated, _without, user):
    store["stamp " + user] += 1
    return store, "OK"


def cmd_clear(store, _repeated, _without, user):
    return store, ("over",) + store.pop("list " + user, ())


COMMANDS = {name[4:]: f for name, f in list(globals().items()) if name.startswith("cmd_")}


# What requests and operators do: generators that yield commands, get the replies and return what is answered.

def merged(items, own):
    return tuple(sorted(items + own))


def load(w, user, key):
    """Returns the session, "nothing", "ended" or the marker, which is ErrRenewed for a user's session."""
    if user and "list before value" in w:
        found = yield "get", key
        listed = yield "listed", user, key
    else:
        listed = (yield "listed", user, key) if user else True
        found = yield "get", key
    if not listed and (isinstance(found, Session) or "value of the removed" in w):
        return "nothing"
    return "ended" if isinstance(found, LastWord) else found or "nothing"


def save(w, me, key, seen, own):
    """Update of a session that was loaded."""
    for n in range(9):
        if isinstance(seen, Marker):
            return "renewed"
        if isinstance(seen, LastWord):
            return "ended"
        reply = yield "save", key, seen, Session((me, n), seen.user, merged(seen.items, own))
        if reply in ("OK", "failed"):
            return {"OK": "saved", "failed": "unknown"}[reply]
        if reply == "nothing":
            return "ended"
        seen = reply


def destroy(w, user, key, seen):
    if user and "value before list" in w:
        yield "remove", user, key
    while True:
        reply = yield "delete", key, seen
        if reply == "OK":
            if user:
                yield "remove", user, key
            return "deleted"
        if reply in ("nothing", "failed"):
            return {"nothing": "gone", "failed": "unknown"}[reply]
        if isinstance(reply, Marker):
            return "renewed"
        if isinstance(reply, LastWord):
            return "told"  # the cookie is cleared, and the session is over
        seen = reply


def bury(over):
    for key in over[1:]:
        yield "bury", key


def undo(user, new):
    yield "delete", new, None
    if user:
        yield "remove", user, new


def renew(w, me, key, seen, user, new, own, signing, stamp=None, limit=0):
    """Renew, and SignIn with signing, of a session or late at a marker. It returns "new" if the client gets the token."""
    old, late = (seen.user, None) if isinstance(seen, Session) else (None, seen)
    own_only = late or old not in (None, user)
    value = Session((me, 0), user, merged(() if own_only else seen.items, own))
    if (yield "save", new, None, value) != "OK":
        return "unknown"
    if user and user != old:
        reply = yield "add", user, new, stamp, limit
        if reply in ("stamp", "failed"):
            yield from undo(user, new)
            return {"stamp": "revoked", "failed": "failed"}[reply]
        yield from bury(reply)
    answer = "new"
    if late:
        answer = yield from second(w, me, late, old, user, new, value, own, signing)
    else:
        answer = yield from mark(w, me, key, seen, old, user, new, value, own, signing)
    if answer not in ("new", "unknown") or answer == "unknown" and "N stays" in w:
        yield from undo(user, new)
    return answer


def mark(w, me, key, seen, old, user, new, value, own, signing):
    for n in range(9):
        values = seen.items if isinstance(seen, Session) else seen.values
        reply = yield "save", key, seen, Marker((me, "mark", n), new, user, None if old else values)
        if reply == "OK":
            break
        if reply == "failed":
            return "unknown"
        if isinstance(reply, Marker) and "first marker wins" not in w:
            return (yield from second(w, me, reply, old, user, new, value, own, signing))
        if reply == "nothing" or isinstance(reply, LastWord):
            if old and old == user:
                return "ended"
            return (yield from keep(me, new, value, own, signing, 1)) if old is None else "new"
        seen = reply
        if isinstance(seen, Session) and old in (None, user):
            after = Session((me, n + 1), user, merged(seen.items, own))
            reply = yield "save", new, value, after
            if reply != "OK":
                return "failed" if reply == "failed" else "ended"
            value = after
    if old is None:
        return "new"
    if old != user:
        yield "remove", old, key
        return "new"
    if "one step swap" in w:
        yield "add", user, new, None, 0
        reply = yield "remove", user, key
        return "new" if reply == "OK" else "ended"
    return {"OK": "new", "nothing": "ended", "failed": "unknown"}[(yield "replace", user, key, new)]


def keep(me, new, value, items, signing, n):
    """Gives N these items: a renewal of a visitor's session that has none has ended."""
    if not items and not signing:
        return "ended"
    reply = yield "save", new, value, Session((me, "kept", n), value.user, merged((), items))
    return {"OK": "new", "failed": "failed"}.get(reply, "ended") if isinstance(reply, str) else "ended"


def second(w, me, first, old, user, new, value, own, signing):
    """Another renewal was first."""
    if old or not signing and first.user:
        return "renewed"
    if first.user not in (None, user):
        return (yield from keep(me, new, value, own, signing, 2))
    lives = None
    if "lives after values" in w:
        lives = yield from load(w, first.user, first.to)
    both = merged(first.values, own)
    answer = yield from keep(me, new, value, both, True, 3)
    if answer != "new":
        return answer
    lives = lives or (yield from load(w, first.user, first.to))
    if isinstance(lives, Session):
        return "new"
    if isinstance(lives, Marker) and not signing:
        return "renewed"
    return (yield from keep(me, new, Session((me, "kept", 3), user, both), own, signing, 4))


def others(w, me, key, seen, own):
    """A change and EndOthers in one save."""
    if "others first" in w:
        answer = yield from save(w, me, key, seen, own)
        if answer != "saved":
            return answer
    reply = yield "others", seen.user, key
    if reply == "failed":
        return "unknown"
    if reply == "nothing":
        found = yield from load(w, seen.user, key)
        return "renewed" if isinstance(found, Marker) else "ended"
    yield from bury(reply)
    if "others first" not in w and own:
        answer = yield from save(w, me, key, seen, own)
        return answer if answer != "saved" else "others"
    return "others"


def end_all(_w, user):
    if (yield "restamp", user) != "OK":
        return "unknown"
    reply = yield "clear", user
    if reply == "failed":
        return "unknown"
    yield from bury(reply)
    return "all"


def end_one(_w, user, key):
    reply = yield "remove", user, key
    if reply != "OK":
        return {"nothing": "none", "failed": "unknown"}[reply]
    yield "bury", key
    return "one"


# The search.

class Row:
    def __init__(self, name, store, processes, judge, crash="", lost=1, at_rest=None):
        self.name, self.store, self.processes, self.judge = name, store, processes, judge
        self.names, self.crash, self.lost = sorted(processes), crash, lost
        self.at_rest = at_rest  # judges in addition when all have ended and nobody has crashed

    def run(self, without):
        """Returns the number of states, and the steps to the first failure, or None."""
        @functools.lru_cache(maxsize=None)
        def next_of(name, replies):
            process = self.processes[name](without)
            try:
                command = next(process)
                for reply in replies:
                    command = process.send(reply)
                return command, None
            except StopIteration as stop:
                found = stop.value
                return None, {Session: "session", Marker: "renewed"}.get(type(found), found)

        start = (frozenset(self.store.items()), tuple(() for _ in self.names), frozenset(), "", self.lost)
        seen, todo = {start: None}, [start]
        while todo:
            state = todo.pop()
            store, histories, crashed, repeating, lost = state
            store = dict(store)
            answers, steps = {}, []
            for i, name in enumerate(self.names):
                command, answer = next_of(name, histories[i])
                if answer is not None:
                    answers[name] = answer
                elif name not in crashed:
                    steps.append((i, name, command))
            broken = self.judge(store, answers)
            if not broken and self.at_rest and not steps and not crashed:
                broken = self.at_rest(store, answers)
            if broken:
                return len(seen), self.path(seen, state) + ["** " + broken]
            for i, name, command in steps:
                for label, after in self.after(state, store, i, name, command, without):
                    if after not in seen:
                        seen[after] = (state, "%s: %s %s" % (name, command, label))
                        todo.append(after)
        return len(seen), None

    def after(self, state, store, i, name, command, without):
        _, histories, crashed, repeating, lost = state
        done, reply = execute(store, command, repeating == name, without)
        done = frozenset(done.items())
        same = frozenset(store.items())

        def with_reply(store, reply, lost=lost):
            replies = histories[:i] + (histories[i] + (reply,),) + histories[i + 1:]
            return store, replies, crashed, "" if repeating == name else repeating, lost
        yield "-> %s" % (reply,), with_reply(done, reply)
        if lost and command[0] not in ("get", "listed", "part"):
            yield "reply lost", (done, histories, crashed, name, lost - 1)
            if command[0] not in ("bury", "unpart"):
                yield "failed, executed", with_reply(done, "failed", lost - 1)
                yield "failed", with_reply(same, "failed", lost - 1)
        if name in self.crash and not crashed:
            yield "crash", (same, histories, frozenset([name]), repeating, lost)

    @staticmethod
    def path(seen, state):
        steps = []
        while seen[state]:
            state, step = seen[state]
            steps.append(step)
        return steps[::-1]


# The rows.

def usable(store, key):
    found = store.get(key)
    return isinstance(found, Session) and (not found.user or key in store.get("list " + found.user, ()))


ENDERS = {"A": ("all", "ONMK"), "E": ("one", "ON"), "X": ("others", "ON")}


def judge(store, answers):
    """Returns which property does not hold in a state, given the answers so far, or None."""
    items = {key: found.items for key, found in store.items() if isinstance(found, Session)}
    new = {"N": answers.get("R") == "new", "M": answers.get("S") == "new"}
    for key, found in items.items():
        if len(set(found)) != len(found):
            return "N2: counts twice in " + key
    for name, (answer, keys) in ENDERS.items():
        for key in keys:
            if answers.get(name) == answer and usable(store, key) and store[key].user:
                return "U1: %s is usable after the end by %s" % (key, name)
    for writer in "GX":
        written, answer = writer.lower(), answers.get(writer)
        for key in "ONM":
            carried = key == "O" or new[key] and isinstance(store.get("O"), Marker)  # otherwise it was destroyed
            if answer in ("saved", "others") and usable(store, key) and carried and written not in items[key]:
                return "N1: %s is lost from %s" % (written, key)
            if answer == "renewed" and usable(store, key) and written in items[key]:
                return "N2: %s was refused and is in %s" % (written, key)
    destroyed = answers.get("D")
    lives = [key for key in "ON" if usable(store, key) and "a" in items[key] and new.get(key, True)]
    if destroyed in ("deleted", "told") and lives:
        return "N3: it was destroyed, and lives"
    if destroyed == "deleted" and "O" in store:
        return "B: the destroyed session has a last word"
    return None


def without_enders(store, answers):
    """judge where nobody ends anything. Then nobody may be told that something was ended."""
    if answers.get("L") in ("nothing", "ended"):
        return "N6: a renewal looks like a sign-out"
    if answers.get("R") == "ended" and answers.get("D") not in ("deleted", "unknown", None):
        return "N2: a Destroy that did nothing has ended the renewal"
    return judge(store, answers)


def limited(store, answers):
    """judge with a limit of one."""
    handed = "O" + "N" * (answers.get("R") == "new") + "M" * (answers.get("S") == "new")
    usables = [key for key in handed if usable(store, key)]
    return "U3: %s are usable" % " and ".join(usables) if len(usables) > 1 else judge(store, answers)


def sign_in(me, new):
    """Returns a SignIn without a session before it, with a limit of one."""
    def process(_w):
        if (yield "save", new, None, Session((me, 0), "alice", (me.lower(),))) != "OK":
            return "unknown"
        reply = yield "add", "alice", new, None, 1
        if reply == "failed":
            yield from undo("alice", new)
            return "failed"
        yield from bury(reply)
        return "new"
    return process


def last_word(store, answers):
    """judge where L comes after the end."""
    if answers.get("L") == "session":
        return "L: a load after the end shows a session"
    return judge(store, answers)


def kept(store, answers):
    """judge where X keeps O, or what it was renewed to."""
    if answers.get("X") == "others" and usable(store, "K"):
        return "U1: K is usable after EndOthers"
    answers = dict(answers, X={"others": "saved"}.get(answers.get("X"), answers.get("X")))
    return judge(store, answers)


def gone(store, answers):
    """judge where A has ended N before M had its values."""
    after = getattr(store.get("O"), "to", None) == "N" and answers.get("S") == "new"
    if answers.get("A") == "one" and after and usable(store, "M") and "a" in store["M"].items:
        return "N3: the values of an ended session are back"
    return judge(store, answers)


def end_n(w):
    answer = yield from end_one(w, "alice", "N")
    if answer != "one":
        return answer
    found = yield "get", "M"
    return "too late" if isinstance(found, Session) and "a" in found.items else "one"


def end_and_load(w):
    if (yield from end_all(w, "alice")) == "unknown":
        return "unknown"
    return (yield from load(w, "alice", "O"))


def of(user):
    """Returns the store with O and K, and the old session."""
    old = Session("o", user, ("a",))
    store = {"O": old, "stamp alice": 0}
    if user:
        store.update({"list alice": ("K", "O"), "K": Session("k", user, ())})
    return store, old


def late(me, new, signing):
    """Returns a SignIn or Renew of a request that comes with O, whatever it finds."""
    def process(w):
        found = yield from load(w, None, "O")
        if isinstance(found, (Session, Marker)) and (signing or isinstance(found, Session)):
            return (yield from renew(w, me, "O", found, "alice" if signing else None, new, (me.lower(),), signing, 0))
        return "renewed" if isinstance(found, Marker) else "nothing"
    return process


ALICE, O = of("alice")
ALONE = {"O": O, "stamp alice": 0, "list alice": ("O",)}
VISITOR, V = of(None)

G = lambda w: save(w, "G", "O", O, ("g",))
D = lambda w: destroy(w, "alice", "O", O)
R = lambda w: renew(w, "R", "O", O, "alice", "N", ("r",), False)
A = lambda w: end_all(w, "alice")
E = lambda w: end_one(w, "alice", "O")
X = lambda w: others(w, "X", "K", ALICE["K"], ())
L = lambda w: load(w, "alice", "O")
KEEP = lambda w: others(w, "X", "O", O, ("x",))

VG = lambda w: save(w, "G", "O", V, ("g",))
VD = lambda w: destroy(w, None, "O", V)
VR = lambda w: renew(w, "R", "O", V, None, "N", ("r",), False)
VS = lambda w: renew(w, "R", "O", V, "alice", "N", ("r",), True, 0)

ROWS = [
    Row("end all, EndOthers", ALICE, {"A": A, "X": X}, judge, "X"),
    Row("end all, save, Destroy", ALICE, {"A": A, "G": G, "D": D}, judge, "A"),
    Row("end all, Renew, save", ALICE, {"A": A, "R": R, "G": G}, judge, "R"),
    Row("end all, Renew, Destroy", ALICE, {"A": A, "R": R, "D": D}, judge, "R"),
    Row("end one, Renew, save", ALICE, {"E": E, "R": R, "G": G}, judge, "R"),
    Row("end one, Destroy, save", ALICE, {"E": E, "D": D, "G": G}, judge, "E"),
    Row("EndOthers of another, Renew, save", ALICE, {"X": X, "R": R, "G": G}, judge, "R"),
    Row("EndOthers of another, Destroy, save", ALICE, {"X": X, "D": D, "G": G}, judge, "X"),
    Row("end all, then a load, Renew, save", ALICE, {"L": end_and_load, "R": R, "G": G}, last_word, "R"),
    Row("a load, Renew, save", ALICE, {"L": L, "R": R, "G": G}, without_enders, ""),
    Row("Destroy, Renew, save", ALICE, {"D": D, "R": R, "G": G}, without_enders, ""),
    Row("EndOthers with a write, Renew, save", ALICE, {"X": KEEP, "R": R, "G": G}, kept, ""),
    Row("SignIn, another SignIn, save, limit 1", ALONE,
        {"R": sign_in("R", "N"), "S": sign_in("S", "M"), "G": G}, limited, "R"),
    Row("SignIn of a visitor, save, end all", VISITOR, {"R": VS, "G": VG, "A": A}, judge, "R"),
    Row("SignIn of a visitor, Destroy, save", VISITOR, {"R": VS, "D": VD, "G": VG}, judge, "R"),
    Row("Renew of a visitor, Destroy, save", VISITOR, {"R": VR, "D": VD, "G": VG}, judge, "R"),
    Row("SignIn of a visitor, save, another SignIn", VISITOR, {"R": VS, "G": VG, "S": late("S", "M", True)}, judge, "R"),
    Row("Renew of a visitor, save, another Renew", VISITOR, {"R": VR, "G": VG, "S": late("S", "M", False)}, judge, "R"),
    Row("Renew of a visitor, save, SignIn", VISITOR, {"R": VR, "G": VG, "S": late("S", "M", True)}, judge, "R"),
    Row("SignIn, another SignIn, N is ended", VISITOR, {"R": VS, "S": late("S", "M", True), "A": end_n}, gone, "R"),
]

WITHOUT = [
    ("xx", "end all, save, Destroy"),
    ("compare-and-delete", "Destroy, Renew, save"),
    ("value before list", "Destroy, Renew, save"),
    ("value of the removed", "a load, Renew, save"),
    ("list before value", "a load, Renew, save"),
    ("one step swap", "end all, Renew, save"),
    ("others' condition", "end all, EndOthers"),
    ("others first", "EndOthers with a write, Renew, save"),
    ("stamp", "SignIn of a visitor, save, end all"),
    ("first marker wins", "SignIn of a visitor, save, another SignIn"),
    ("N stays", "Renew of a visitor, save, SignIn"),
    ("limit", "SignIn, another SignIn, save, limit 1"),
    ("lives after values", "SignIn, another SignIn, N is ended"),
]


def main(rows, without, parts):
    """Runs all rows, and those without a part, and returns the exit status."""
    verbose, wrong, total = "-v" in sys.argv, 0, 0
    print("%-68s %9s  %s" % ("row", "states", "result"))

    def show(name, states, failure, wanted):
        nonlocal wrong, total
        total += states
        fine = (failure is not None) == wanted
        wrong += not fine
        result = failure[-1][3:] if failure else "holds"
        print("%-68s %9d  %s%s" % (name, states, result, "" if fine else "   UNEXPECTED"))
        if failure and (verbose or not fine):
            print("    " + "\n    ".join(failure))

    for row in rows:
        show(row.name, *row.run(frozenset()), False)
    by_name = {row.name: row for row in rows}
    for part, name in without:
        show("WITHOUT %s: %s" % (part, name), *by_name[name].run(frozenset([part])), True)
    if set(parts) != {part for part, _ in without}:
        wrong += 1
        print("not every part is left out once")
    print("%d rows, %d states, %d unexpected" % (len(rows) + len(without), total, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(ROWS, WITHOUT, PARTS))
