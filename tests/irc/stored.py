"""Users whose host keeps what it knows in a store on disk, as it does in a chat client.

alice = join(network, "alice", tmp_path / "alice")
with alice.elsewhere() as store:  # another process, as far as the store can tell
    store.contacts.judge(NETWORK, "bob", fingerprint("bob"), Trust.NONE)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from otrcore.account import Account
from otrcore.irc.actions import ShowNote
from otrcore.irc.host import IrcHost
from otrcore.irc.keeper import Keeper, StoreKeeper
from otrcore.irc.lanes import Result
from otrcore.model import Fingerprint, Trust
from otrcore.policy import DEFAULT
from otrcore.store.store import Store
from tests.irc.network import Network, User
from tests.pair import identity

NETWORK = "testnet"
HOST = "irc.example"

T = TypeVar("T")


class Late:
    """Lanes in which nothing is done before the test says so."""

    def __init__(self) -> None:
        self._under_way: deque[Callable[[], None]] = deque()

    @property
    def under_way(self) -> int:
        """How many steps are to be done."""
        return len(self._under_way)

    def run(self, step: Callable[[], T], then: Callable[[Result[T]], None]) -> Result[T] | None:
        def do() -> None:
            value = step()
            then(lambda: value)

        self._under_way.append(do)
        return None

    def wait(self) -> None:
        """Do the step that was asked for first."""
        self._under_way.popleft()()

    def settle(self) -> None:
        """Do all."""
        while self._under_way:
            self.wait()


class StoredUser(User):
    """A client that can be restarted, and whose store other programs use at the same time."""

    def __init__(self, network: Network, nick: str, folder: Path) -> None:
        super().__init__(network, nick, "~user", "host.example", DEFAULT, identity(nick))
        self.folder = folder
        self.store = Store(folder)
        self.keeper: Keeper = StoreKeeper(self.store, clock=network.clock)
        self.host = self._new_host()

    def _new_host(self) -> IrcHost:
        return IrcHost(HOST, self.keeper, self._sink)

    @property
    def account(self) -> Account:
        return self.host._conversations.require_account()

    def connect(self, server: str = HOST) -> None:
        """Register with a server of the network."""
        self.host.connected(self.nick, self.network.features, self.mask, server=server)

    def restart(self) -> None:
        """End the client without a word to anybody, and start it again."""
        self.store.close()
        self.store = Store(self.folder)
        self.keeper = StoreKeeper(self.store, clock=self.network.clock)
        self.host = self._new_host()
        self.connect()

    def take(self, keeper: Keeper) -> None:
        """Go on with another keeper, as after a start that found another state of things."""
        self.keeper = keeper
        self.host = self._new_host()
        self.connect()

    @contextmanager
    def elsewhere(self) -> Iterator[Store]:
        """Return the store as another process has it."""
        with Store(self.folder) as store:
            yield store

    def store_refuses(self) -> None:
        """Let nothing be saved any more, as on a disk that is read-only to us; others can."""
        self.store._database._connection.execute("PRAGMA query_only = ON")

    def store_takes(self) -> None:
        """Let everything be saved again."""
        self.store._database._connection.execute("PRAGMA query_only = OFF")

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Fill the list that is returned with what is asked of SQLite, but whether anything has changed."""
        statements: list[str] = []

        def note(statement: str) -> None:
            if not statement.startswith("PRAGMA"):
                statements.append(statement)

        connection = self.store._database._connection
        connection.set_trace_callback(note)
        yield statements
        connection.set_trace_callback(None)

    def trust(self, peer: str) -> Trust:
        """How far the key of the running session, else the key that was used last, is trusted."""
        talk = self.host.talk(peer)
        if talk is not None and talk.info is not None:
            return talk.trust
        memory = self.host.memory(peer)
        return memory.trust(memory.last) if memory.last is not None else Trust.NONE

    def saved(self, peer: str) -> dict[Fingerprint, Trust]:
        """Return the keys of a peer as the file has them."""
        with Store(self.folder) as store:
            return {
                key.fingerprint: key.trust
                for contact in store.contacts.find(peer, NETWORK)
                for key in contact.keys
            }

    def told(self) -> list[str]:
        """Return the lines of what was shown by itself, of no conversation."""
        return [
            line
            for action in self.shown
            if isinstance(action, ShowNote) and not action.peer
            for line in action.lines
        ]

    def warnings(self) -> list[str]:
        """Return the loud lines."""
        return [line for line in self.notes() if line.startswith("WARNING")]


def join(network: Network, nick: str, folder: Path) -> StoredUser:
    """Let a client in whose store is in a folder."""
    someone = StoredUser(network, nick, folder)
    network.users.append(someone)
    someone.connect()
    return someone


def fingerprint(name: str) -> Fingerprint:
    """Return that of the key of this name."""
    return identity(name).fingerprint_4
