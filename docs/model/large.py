#!/usr/bin/env python3
"""Large values: every interleaving of the commands that store, read, copy and remove the parts beside sessions.

It searches as model.py does, whose commands for values and lists it uses, with the same faults: one process that stops
for good anywhere, and one command whose reply is lost or that fails. The items of a session are its references here:
pairs of a name and a revision. A part's text is the revision that it was set with, so that a wrong one is seen.

After each step:

  L1  A reader gets only what the version that it returns names.
  L2  A reference of a session that somebody can use leads to its part, which has no less time to live; so does that of a
      marker that a second renewal can come upon.
  L4  All parts have a time to live.

And when all have ended, none has crashed, and none is left with an outcome that it does not know:

  L3  What is there is named by the session of its ID, or has been by the one in whose place there is a visitor's marker.

    python3 large.py [-v]    -v prints the steps that lead to each failure that is expected
"""
import sys

sys.dont_write_bytecode = True  # no folder of it beside this file
import model
from model import LastWord, Marker, Row, Session, load, usable

PARTS = ("new names", "parts first", "load anew", "removed after the value", "replaced are removed", "a loser removes",
         "a loser keeps until it has lost", "a repeat has parts", "a repeat that lost removes", "but what is stored",
         "a repeat removes what was replaced", "but what a marker names",
         "time to live with the part", "Destroy removes", "Destroy removes after the value", "Bury removes",
         "last word before parts", "time to live after the marker", "a visitor's marker keeps", "a user's marker removes",
         "removed at the marker", "copies again", "a renewal removes what was replaced", "undo removes")


# The commands of parts. The parts of a key have one time to live: that of a session, or the short one of a marker.

def cmd_put(store, _repeated, without, key, name, text):
    store["parts " + key] = tuple(sorted({**dict(store.get("parts " + key, ())), name: text}.items()))
    if "time to live with the part" not in without:
        store["ttl " + key] = "long"
    return store, "OK"


def cmd_part(store, _repeated, without, key, name):
    parts = dict(store.get("parts " + key, ()))
    first = parts.get((name[0], "o")) if "new names" in without else None  # the name that it has from the start
    return store, parts.get(name, first)


def cmd_unpart(store, _repeated, _without, key, names):
    """Removes parts; all of them with names of None."""
    left = tuple((n, t) for n, t in store.get("parts " + key, ()) if names is not None and n not in names)
    store["parts " + key] = left
    if not left:
        store.pop("parts " + key), store.pop("ttl " + key, None)
    return store, "OK"


def cmd_expire(store, _repeated, _without, key, ttl):
    if "parts " + key in store:
        store["ttl " + key] = ttl
    return store, "OK"


def cmd_swap(store, repeated, without, user, old, new, stamp):
    """Replace of driver.Users with a stamp."""
    if stamp is not None and stamp != store["stamp " + user]:
        return store, "stamp"
    return model.cmd_replace(store, repeated, without, user, old, new)


def cmd_clear(store, repeated, without, user):
    store, reply = model.cmd_clear(store, repeated, without, user)
    return store, "failed" if repeated else reply  # for what the first attempt took from the list is not in the reply


def cmd_others(store, repeated, without, user, keep):
    store, reply = model.cmd_others(store, repeated, without, user, keep)
    return store, "failed" if repeated else reply


model.COMMANDS.update({name[4:]: f for name, f in list(globals().items()) if name.startswith("cmd_")})


# What requests and operators do.

def part(w, ref):
    return (ref[0], "") if "new names" in w else ref


def changed(items, own):
    """Returns references with the changes of a request: revisions by names, None for what it deletes."""
    left = {**dict(items), **own}
    return tuple(sorted((name, rev) for name, rev in left.items() if rev))


def put(w, key, ref):
    reply = yield "put", key, part(w, ref), ref[1]
    if "time to live with the part" in w:
        yield "expire", key, "long"
    return reply


def unpart(w, key, refs, kept=()):
    gone = tuple(sorted({part(w, ref) for ref in refs} - {part(w, ref) for ref in kept}))
    if gone:
        yield "unpart", key, gone


def over(found):
    return "renewed" if isinstance(found, Marker) else "ended"


class Saver:
    """A request that has loaded key and sets and deletes large values."""

    def __init__(self, w, me, key, seen, own):
        self.w, self.me, self.key, self.seen, self.own = w, me, key, seen, own
        self.there = []  # those of its parts that the store has, as far as is known

    def refs(self):
        return [(name, rev) for name, rev in self.own.items() if rev]

    def replace(self, new, parts=True):
        """SaveLarge. It returns the reply of the save, or "failed" of a part."""
        sent = [ref for ref in self.refs() if ref not in self.there] if parts else []
        after = "parts first" in self.w
        for ref in () if after else sent:
            if (yield from put(self.w, self.key, ref)) == "failed":
                return "failed"
        if "removed after the value" in self.w:
            yield from unpart(self.w, self.key, self.seen.items, new.items)
        reply = yield "save", self.key, self.seen, new
        for ref in sent if after and reply == "OK" else ():
            yield from put(self.w, self.key, ref)
        if reply != "failed":
            self.there += sent
        return reply

    def lose(self, found):
        """The session is over. A marker can name a part of this request whose save took place."""
        named = found.values or () if isinstance(found, Marker) and "but what a marker names" not in self.w else ()
        if "a loser removes" not in self.w:
            yield from unpart(self.w, self.key, self.there, named)
        return over(found)

    def save(self):
        for n in range(9):
            new = Session((self.me, n), self.seen.user, changed(self.seen.items, self.own))
            reply = yield from self.replace(new)
            if reply == "OK":
                if "replaced are removed" not in self.w:
                    yield from unpart(self.w, self.key, list(self.seen.items) + self.there, new.items)
                return "saved"
            if reply == "failed":
                return (yield from self.repeat(new))
            if not isinstance(reply, Session):
                return (yield from self.lose(reply))
            if "a loser keeps until it has lost" in self.w:
                yield from unpart(self.w, self.key, self.there)
            self.seen = reply

    def repeat(self, new):
        """A save of unknown outcome again, as it was."""
        reply = yield from self.replace(new, "a repeat has parts" not in self.w)
        if reply == "OK":
            yield from unpart(self.w, self.key, list(self.seen.items) + self.there, new.items)
            return "saved"
        if reply == "failed":
            return "unknown"
        if isinstance(reply, Session):
            before = self.seen.items if "a repeat removes what was replaced" not in self.w else ()
            kept = reply.items if "but what is stored" not in self.w else ()
            if "a repeat that lost removes" not in self.w:
                yield from unpart(self.w, self.key, list(before) + self.there, kept)
            return "unclear"
        yield from self.lose(reply)
        return "unknown"


def save(w, me, key, seen, own):
    return (yield from Saver(w, me, key, seen, own).save())


def read(w, user, key, name, seen):
    missing = None
    while isinstance(seen, Session):
        rev = dict(seen.items).get(name)
        if rev is None:
            return "none"
        text = yield "part", key, part(w, (name, rev))
        if text is not None:
            return ("read", rev, text)
        if rev == missing or "load anew" in w:
            return "gone"
        missing, seen = rev, (yield from load(w, user, key))
    return over(seen)


def destroy(w, user, key, seen):
    while True:
        if "Destroy removes after the value" in w:
            yield "unpart", key, None
        reply = yield "delete", key, seen
        if reply == "OK":
            if user:
                yield "remove", user, key
            if seen.items and not w & {"Destroy removes", "Destroy removes after the value"}:
                yield "unpart", key, None
            return "deleted"
        if reply in ("nothing", "failed"):
            return {"nothing": "gone already", "failed": "unknown"}[reply]
        if not isinstance(reply, Session):
            return over(reply)
        seen = reply


def bury(w, ids):
    for key in ids:
        if "last word before parts" in w:
            yield "unpart", key, None
        yield "bury", key
        if not w & {"Bury removes", "last word before parts"}:
            yield "unpart", key, None


def end_all(w, user):
    if (yield "restamp", user) != "OK":
        return "unknown"
    reply = yield "clear", user
    if reply == "failed":
        return "unknown"
    yield from bury(w, reply[1:])
    return "all"


def end_others(w, user, keep):
    reply = yield "others", user, keep
    if reply in ("failed", "nothing"):
        return {"failed": "unknown", "nothing": "nothing"}[reply]
    yield from bury(w, reply[1:])
    return "others"


class Renewal:
    """Renew, and SignIn with signing, of a session that was found at O, or late at its marker."""

    def __init__(self, w, me, seen, user, new, own, signing, stamp=None):
        self.w, self.me, self.seen, self.user, self.new, self.own = w, me, seen, user, new, own
        self.signing, self.stamp, self.copied, self.n = signing, stamp, [], 0
        self.late = seen if isinstance(seen, Marker) else None
        self.old = None if self.late else seen.user
        self.value = None  # what the new ID has

    def run(self):
        carried = () if self.late or self.old not in (None, self.user) else self.seen.items
        if (yield from self.store(carried)) != "OK":
            return "unknown"
        answer = yield from self.join()
        if answer == "new":
            yield from self.tidy()
        elif answer != "unknown":
            yield from self.undo()
        return answer

    def store(self, items):
        """Copies what the new ID lacks, and then stores there what it is to have."""
        wanted = changed(items, self.own)
        lacking = []
        for ref in wanted:
            if ref in self.copied or self.value and "copies again" in self.w:
                continue
            text = ref[1] if ref in self.own.items() else (yield "part", "O", part(self.w, ref))
            if text is not None:
                lacking.append(ref)
        self.copied += lacking
        for ref in lacking:
            if (yield from put(self.w, self.new, ref)) == "failed":
                return "failed"
        value, self.n = Session((self.me, self.n), self.user, wanted), self.n + 1
        reply = yield "save", self.new, self.value, value
        self.value = value
        return reply

    def keep(self, items):
        """store where the renewal may come to nothing."""
        reply = yield from self.store(items)
        return {"OK": "new", "failed": "failed"}.get(reply, "ended") if isinstance(reply, str) else "ended"

    def own_only(self):
        if not self.signing and not changed((), self.own):
            return "ended"
        return (yield from self.keep(()))

    def join(self):
        if self.user and self.user != self.old:
            reply = yield "add", self.user, self.new, self.stamp, 0
            if reply in ("stamp", "failed"):
                return {"stamp": "revoked", "failed": "failed"}[reply]
        if self.late:
            return (yield from self.second(self.late))
        answer = yield from self.mark()
        if answer != "marked":
            return answer
        if self.old is None:
            return "new"
        if self.old != self.user:
            yield "remove", self.old, "O"
            return "new"
        reply = yield "swap", self.user, "O", self.new, self.stamp
        return {"OK": "new", "stamp": "revoked", "nothing": "ended", "failed": "unknown"}[reply]

    def mark(self):
        for n in range(9):
            values = tuple(ref for ref in self.seen.items if ref[0] not in self.own) if self.old is None else None
            marker = Marker((self.me, n, self.seen.items), self.new, self.user, values)
            if "time to live after the marker" in self.w:
                yield "expire", "O", "short"
            reply = yield "save", "O", self.seen, marker
            if reply == "OK":
                yield from self.leave()
                return "marked"
            if reply == "failed":
                return "unknown"
            if isinstance(reply, Marker):
                return (yield from self.second(reply))
            if not isinstance(reply, Session):
                if self.old and self.old == self.user:
                    return "ended"
                return (yield from self.own_only()) if self.old is None else "new"
            self.seen = reply
            if self.old in (None, self.user):
                answer = yield from self.keep(reply.items)
                if answer != "new":
                    return answer

    def leave(self):
        """What the marker leaves of the old parts."""
        if not self.seen.items:
            return
        if self.old is None and "a visitor's marker keeps" not in self.w:
            yield "expire", "O", "short"
        elif not self.w & {"a user's marker removes", "removed at the marker"}:
            yield "unpart", "O", None

    def second(self, first):
        """Another renewal was first."""
        if self.old or not self.signing and first.user:
            return "renewed"
        if first.user not in (None, self.user):
            return (yield from self.own_only())
        answer = yield from self.keep(first.values)
        if answer != "new":
            return answer
        lives = yield from load(self.w, first.user, first.to)
        if isinstance(lives, Session):
            return "new"
        if isinstance(lives, Marker) and not self.signing:
            return "renewed"
        return (yield from self.own_only())

    def tidy(self):
        if "a renewal removes what was replaced" not in self.w:
            yield from unpart(self.w, self.new, self.copied, self.value.items)
        if "removed at the marker" in self.w and self.old and self.seen.items:
            yield "unpart", "O", None

    def undo(self):
        yield "delete", self.new, None
        if self.user:
            yield "remove", self.user, self.new
        if self.copied and "undo removes" not in self.w:
            yield "unpart", self.new, None


def renew(*args):
    return (yield from Renewal(*args).run())


# The properties.

def judge(store, answers):
    for key in "ONM":
        found, parts = store.get(key), dict(store.get("parts " + key, ()))
        if parts and "ttl " + key not in store:
            return "L4: the parts of %s have no time to live" % key
        named = ()
        if usable(store, key) and (key == "O" or answers.get({"N": "R", "M": "S"}[key]) == "new"):
            named = found.items
            if named and parts and store["ttl " + key] != "long":
                return "L2: the parts of %s end before it" % key
        if isinstance(found, Marker):
            named = found.values or ()
        for ref in named:
            if ref not in parts and (ref[0], "") not in parts:
                return "L2: %s has no part %s:%s" % ((key,) + ref)
    for answer in answers.values():
        if answer == "gone":
            return "L2: a reader finds nothing"
        if isinstance(answer, tuple) and answer[1] != answer[2]:
            return "L1: a reader of %s gets %s" % answer[1:]
    return None


def at_rest(store, answers):
    if "unknown" in answers.values():
        return None
    for key in "ONM":
        found, named = store.get(key), ()
        if usable(store, key):
            named = found.items
        elif isinstance(found, Marker) and found.values is not None:
            named = found.rev[2]
        for ref in dict(store.get("parts " + key, ())):
            if ref not in named and "" not in (rev for _, rev in dict(store["parts " + key])):  # else nobody can tell
                return "L3: %s:%s is left with %s" % (ref + (key,))
    return None


# The rows.

def of(user):
    """Returns a store with O, which has a large value, and that session."""
    old = Session(("o", 0), user, (("a", "o"),))
    store = {"O": old, "stamp alice": 0, "parts O": ((("a", "o"), "o"),), "ttl O": "long"}
    if user:
        store["list alice"] = ("O",)
    return store, old


def late(me, new, own, signing):
    """Returns a SignIn or Renew of a request that comes with O, whatever it finds."""
    def process(w):
        found = yield from load(w, None, "O")
        if isinstance(found, Session) or isinstance(found, Marker) and signing:
            return (yield from renew(w, me, found, "alice" if signing else None, new, own, signing, None))
        return over(found)
    return process


ALICE, O = of("alice")
VISITOR, V = of(None)


def requests(user, seen):
    """Returns what requests of a user's or a visitor's session do."""
    return {
        "G": lambda w: save(w, "G", "O", seen, {"a": "g"}),
        "H": lambda w: save(w, "H", "O", seen, {"a": "h"}),
        "B": lambda w: save(w, "B", "O", seen, {"b": "b"}),
        "K": lambda w: save(w, "K", "O", seen, {"a": None}),
        "L": lambda w: read(w, user, "O", "a", seen),
        "D": lambda w: destroy(w, user, "O", seen),
        "R": lambda w: renew(w, "R", seen, user, "N", {}, False),
        "W": lambda w: renew(w, "R", seen, user, "N", {"a": "r"}, False),
        "A": lambda w: end_all(w, "alice"),
        "X": lambda w: end_others(w, "alice", "O"),
    }


def row(name, store, names, crash, of_user=False, **more):
    """Returns a row of requests by their letters, and more."""
    known = requests("alice" if of_user else None, O if of_user else V)
    processes = {n: known[n] for n in names}
    if "W" in processes:
        processes["R"] = processes.pop("W")
    return Row(name, store, {**processes, **more}, judge, crash, at_rest=at_rest)


SIGN_IN = lambda w: renew(w, "R", V, "alice", "N", {}, True, 0)
SIGN_IN_WITH = lambda w: renew(w, "R", V, "alice", "N", {"a": "r", "c": "r"}, True, 0)
AGAIN = lambda w: renew(w, "R", O, "alice", "N", {}, True, 0)

ROWS = [
    row("two saves of one value, a reader", VISITOR, "GHL", "G"),
    row("two saves of two values, a reader", VISITOR, "GBL", "B"),
    row("three saves", VISITOR, "GHB", "H"),
    row("a save, one that deletes, a reader", VISITOR, "GKL", "K"),
    row("a save, one that deletes, another value", VISITOR, "GKB", "B"),
    row("Destroy, a save, a reader", VISITOR, "DGL", "D"),
    row("Destroy, two saves", VISITOR, "DGB", "G"),
    row("end all, a save, a reader", ALICE, "AGL", "A", True),
    row("end all, Destroy, a save", ALICE, "ADB", "B", True),
    row("Renew of a visitor, a save, a reader", VISITOR, "RGL", "R"),
    row("Renew of a visitor, two saves", VISITOR, "RGB", "R"),
    row("Renew of a visitor with a write, a save, another", VISITOR, "WB", "B", S=late("S", "M", {}, False)),
    row("Renew of a visitor, a save, another Renew", VISITOR, "RG", "R", S=late("S", "M", {}, False)),
    row("Renew of a visitor, a save, SignIn", VISITOR, "RB", "R", S=late("S", "M", {"c": "s"}, True)),
    row("SignIn of a visitor, a save, another SignIn", VISITOR, "G", "R", R=SIGN_IN, S=late("S", "M", {}, True)),
    row("SignIn of a visitor with a write, another SignIn", VISITOR, "", "RS", R=SIGN_IN_WITH, S=late("S", "M", {"d": "s"}, True)),
    row("SignIn of a visitor, a save, end all", VISITOR, "GA", "R", R=SIGN_IN),
    row("SignIn of a visitor, a save, Destroy", VISITOR, "GD", "R", R=SIGN_IN),
    row("Renew, a save, a reader", ALICE, "RGL", "R", True),
    row("Renew, a save, end all", ALICE, "RGA", "A", True),
    row("Renew, a save, Destroy", ALICE, "RBD", "R", True),
    row("Renew, another Renew, a save", ALICE, "RB", "R", True, S=lambda w: renew(w, "S", O, "alice", "M", {}, False)),
    row("SignIn of the user with a stamp, EndOthers, a save", ALICE, "XG", "R", True, R=AGAIN),
]

WITHOUT = [
    ("new names", "two saves of one value, a reader"),
    ("parts first", "two saves of one value, a reader"),
    ("load anew", "two saves of one value, a reader"),
    ("removed after the value", "two saves of one value, a reader"),
    ("replaced are removed", "two saves of one value, a reader"),
    ("a loser removes", "Destroy, a save, a reader"),
    ("a loser keeps until it has lost", "two saves of two values, a reader"),
    ("a repeat has parts", "two saves of two values, a reader"),
    ("a repeat that lost removes", "two saves of one value, a reader"),
    ("but what is stored", "two saves of two values, a reader"),
    ("a repeat removes what was replaced", "a save, one that deletes, a reader"),
    ("but what a marker names", "SignIn of a visitor, a save, another SignIn"),
    ("time to live with the part", "SignIn of a visitor, a save, end all"),
    ("Destroy removes", "Destroy, a save, a reader"),
    ("Destroy removes after the value", "Destroy, a save, a reader"),
    ("Bury removes", "end all, a save, a reader"),
    ("last word before parts", "end all, a save, a reader"),
    ("time to live after the marker", "Renew of a visitor, a save, a reader"),
    ("a visitor's marker keeps", "SignIn of a visitor, a save, another SignIn"),
    ("a user's marker removes", "Renew, a save, a reader"),
    ("removed at the marker", "SignIn of the user with a stamp, EndOthers, a save"),
    ("copies again", "Renew of a visitor, a save, a reader"),
    ("a renewal removes what was replaced", "Renew of a visitor, a save, a reader"),
    ("undo removes", "Renew, a save, end all"),
]

if __name__ == "__main__":
    sys.exit(model.main(ROWS, WITHOUT, PARTS))
